"""``fleet.lock`` against the files: where an image came from, what a merge does to it, and what is said."""

import json
import shutil
from pathlib import Path

import pytest

from tests.operations.fleets import PLAYBOOK, TryFleet
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import InvalidFleet
from unictl.operations.inspecting import inspect
from unictl.operations.planning.fleet_lock import write_lock
from unictl.operations.planning.prepare import prepare_fleet
from unictl.operations.request import FleetRequest
from unictl.operations.setup.lock import pin_fleet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The hello playbook with its lock."""
    shutil.copytree(PLAYBOOK, tmp_path / "hello", ignore=shutil.ignore_patterns("src", "try"))
    return tmp_path / "hello"


def edit(folder: Path, old: str, new: str, file: str = "fleet.yaml") -> None:
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def problems(folder: Path, *, locked: bool = False) -> tuple[Diagnostic, ...]:
    """What speaks against working with this fleet."""
    with pytest.raises(InvalidFleet) as raised:
        prepare_fleet(FleetRequest(path=folder, locked=locked))
    return raised.value.problems


def source(folder: Path) -> str:
    kernel = json.loads((folder / "fleet.lock").read_text())["images"]["hello"]["kernel"]
    return str(kernel.get("source", ""))


def older(folder: Path) -> None:
    """The lock as it was written before it held where images come from."""
    tree = json.loads((folder / "fleet.lock").read_text())
    del tree["images"]["hello"]["kernel"]["source"]
    (folder / "fleet.lock").write_text(json.dumps(tree))


@pytest.mark.parametrize("locked", [True, False])
def test_a_path_that_is_not_there_is_not_taken_for_the_one_that_the_lock_knows(folder: Path, locked: bool) -> None:
    edit(folder, "kernel: hello.elf", "kernel: v2.elf")
    (found,) = problems(folder, locked=locked)
    assert "fleet.lock knows image hello from hello.elf, not from v2.elf" in found.summary
    assert found.place is not None
    assert "v2.elf" in found.source[found.place.column - 1 :]


def test_a_link_that_leads_out_of_the_folder_is_refused_though_the_lock_knows_the_image(folder: Path) -> None:
    (folder / "hello.elf").unlink()
    (folder / "hello.elf").symlink_to(PLAYBOOK / "hello.elf")
    for forget in (lambda _: None, older):
        forget(folder)
        (found,) = problems(folder)
        assert found.code == "image-outside" and "hello.elf leads out of the fleet's folder" in found.summary


def test_a_file_that_is_gone_is_no_problem_where_the_lock_knows_it_from_there(folder: Path) -> None:
    (folder / "hello.elf").unlink()
    assert prepare_fleet(FleetRequest(path=folder, locked=True)).lock_changes == ()
    write_lock(prepare_fleet(FleetRequest(path=folder)))
    assert source(folder) == "hello.elf"


def test_a_lock_that_does_not_say_where_images_came_from_is_taken_at_its_word(folder: Path) -> None:
    older(folder)
    assert prepare_fleet(FleetRequest(path=folder, locked=True)).lock_changes == ()
    (folder / "hello.elf").unlink()
    edit(folder, "kernel: hello.elf", "kernel: v2.elf")
    assert prepare_fleet(FleetRequest(path=folder, locked=True)).facts["hello"]["kernel"].size
    assert pin_fleet(FleetRequest(path=folder)).changed == () and source(folder) == ""


def test_the_lock_learns_where_an_image_came_from_when_it_is_asked_for(folder: Path) -> None:
    older(folder)
    assert pin_fleet(FleetRequest(path=folder)).changed == ("image hello.kernel comes from hello.elf",)
    assert source(folder) == "hello.elf" and pin_fleet(FleetRequest(path=folder)).changed == ()


def test_the_same_bytes_from_another_path_are_a_change_of_the_lock(folder: Path) -> None:
    (folder / "hello.elf").rename(folder / "v2.elf")
    edit(folder, "kernel: hello.elf", "kernel: v2.elf")
    assert [each.code for each in problems(folder, locked=True)] == ["lock-contradicted"]
    assert prepare_fleet(FleetRequest(path=folder)).lock_changes == ("image hello.kernel hello.elf -> v2.elf",)
    pin_fleet(FleetRequest(path=folder))
    assert source(folder) == "v2.elf"


def test_the_same_digest_from_another_url_is_a_change_of_the_lock(folder: Path) -> None:
    digest = json.loads((folder / "fleet.lock").read_text())["images"]["hello"]["kernel"]["sha256"]
    edit(folder, "kernel: hello.elf", f"kernel: 'https://example.org/h', sha256: {digest}")
    assert prepare_fleet(FleetRequest(path=folder)).lock_changes == (
        "image hello.kernel hello.elf -> https://example.org/h",
    )
    pin_fleet(FleetRequest(path=folder))
    assert source(folder) == "https://example.org/h" and prepare_fleet(FleetRequest(path=folder, locked=True))


def test_one_number_of_two_endpoints_is_a_problem_until_the_lock_is_written_anew(folder: Path) -> None:
    edit(folder, "20001", "20000", "fleet.lock")
    for locked in (True, False):
        (found,) = problems(folder, locked=locked)
        assert (found.code, str(found.place)) == ("endpoint-shared", "fleet.lock:4:5")
        assert "front.http and counter.http one number, 20000" in found.summary and "run `unictl lock`" in found.hint
    assert [each.code for each in inspect.validate_fleet(FleetRequest(path=folder)).problems] == ["endpoint-shared"]
    assert pin_fleet(FleetRequest(path=folder)).changed == ("endpoint front.http 20000 -> 20001",)
    assert prepare_fleet(FleetRequest(path=folder, locked=True)).endpoints == {
        "counter.http": 20000,
        "front.http": 20001,
    }
    assert inspect.validate_fleet(FleetRequest(path=folder)).problems == ()


def test_a_number_that_only_what_is_gone_has_too_is_no_problem(folder: Path) -> None:
    edit(folder, '"counter.http": 20000,', '"counter.http": 20000, "gone.http": 20000,', "fleet.lock")
    assert prepare_fleet(FleetRequest(path=folder, locked=True)).endpoints["counter.http"] == 20000


MERGE = """{
  "endpoints": {
<<<<<<< HEAD
    "counter.http": 20000
=======
    "zed.http": 20000
>>>>>>> zed
  },
"""


@pytest.mark.parametrize(
    ("text", "place", "what", "hint"),
    [
        (MERGE, "3:1", "git's conflict markers", "take one side, then run `unictl lock`"),
        ('{\n  "endpoints": {"a.b": 1\n    "c.d": 2', "3:5", "no JSON", "then run `unictl lock`"),
        ("{}", "1:1", "it lacks 'format'", "then run `unictl lock`"),
        ("[]", "1:1", "it is no map", "then run `unictl lock`"),
        ("\n", "1:1", "it is empty", "then run `unictl lock`"),
        ('{"format": "1"}', "1:2", "its 'format' is not a number", "then run `unictl lock`"),
        ('{"format": 1, "images": {}, "endpoints":\n{"a.b": "x"}}', "2:2", "a.b has no number", "run `unictl lock`"),
        ('{"format": 1, "endpoints": {}, "images": {"hello": {"kernel": {}}}}', "1:43", "'hello'", "run `unictl lock`"),
    ],
)
def test_a_damaged_lock_is_told_with_its_place_and_what_to_do(
    folder: Path, text: str, place: str, what: str, hint: str
) -> None:
    (folder / "fleet.lock").write_text(text)
    (found,) = problems(folder)
    assert str(found.place) == f"fleet.lock:{place}" and hint in found.hint
    assert what in found.summary and "Expecting" not in found.summary
    assert inspect.validate_fleet(FleetRequest(path=folder)).problems == (found,)


@pytest.mark.real
def test_a_plan_says_what_it_wrote_into_the_lock_once_and_a_destroy_writes_nothing(fleet: TryFleet) -> None:
    gone = fleet.run("destroy", "-auto-approve")
    assert (gone.code, (fleet.folder / "fleet.lock").exists()) == (0, False) and "fleet.lock" not in gone.out
    first, second = fleet.plan().out, fleet.plan().out
    assert "fleet.lock: image hello.kernel " in first and "endpoint counter.http " in first and "commit it" in first
    assert "fleet.lock" not in second
