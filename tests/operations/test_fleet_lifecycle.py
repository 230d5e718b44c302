"""The main job on one machine, with real guests: from a fleet file to answers, and back to nothing."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.operations.fleets import UNICTL, TryFleet

pytestmark = pytest.mark.real


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:front|counter)-\d\b", text))


def test_a_fleet_comes_up_from_nothing_and_all_replicas_answer_in_turn(fleet: TryFleet) -> None:
    applied = fleet.apply()
    assert applied.code == 0, applied.out + applied.err
    assert applied.out.splitlines()[-1] == "Apply complete: 5 added, 0 replaced, 0 destroyed, 0 adjusted."
    answers = [fleet.get("/json") for _ in range(6)]
    assert {name for answer in answers for name in re.findall(r'"name": ?"(front-\d)"', answer)} == {
        "front-0",
        "front-1",
        "front-2",
    }
    again = fleet.plan()
    assert again.code == 0, again.out + again.err
    assert "No changes." in again.out


def test_a_killed_guest_is_back_by_itself_and_one_that_gave_up_is_named_alone_and_repaired_alone(
    fleet: TryFleet,
) -> None:
    assert fleet.apply().code == 0
    before = {name: row["generation"] for name, row in fleet.rows().items()}
    os.kill(fleet.pid("counter-0"), signal.SIGKILL)
    fleet.until(lambda rows: rows["counter-0"]["starts"] == 2)
    assert fleet.plan().code == 0
    fleet.behave("front-1", "exit/64")
    fleet.until(lambda rows: rows["front-1"]["state"] == "ended")
    planned = fleet.plan()
    assert planned.code == 2, planned.out + planned.err
    assert names_in(planned.out) == {"front-1"}
    assert fleet.apply().code == 0
    after = {name: row["generation"] for name, row in fleet.rows().items()}
    assert {name for name in before if before[name] != after[name]} == {"front-1"}
    assert fleet.plan().code == 0


def test_an_edited_argument_replaces_its_service_alone_and_says_old_and_new(fleet: TryFleet) -> None:
    assert fleet.apply().code == 0
    counter, pids = fleet.pid("counter-0"), {fleet.pid(f"front-{n}") for n in range(3)}
    fleet.edit("--greeting=hello", "--greeting=servus")
    planned = fleet.plan()
    assert planned.code == 2
    assert "--greeting=hello" in planned.out
    assert "--greeting=servus" in planned.out
    assert names_in(planned.out) <= {"front-0", "front-1", "front-2"}
    assert fleet.apply().code == 0
    assert fleet.pid("counter-0") == counter
    assert pids.isdisjoint({fleet.pid(f"front-{n}") for n in range(3)})
    assert "servus" in fleet.get()
    fleet.edit(r"publish: \{[0-9]+: http\}", "publish: {81: http}")
    moved = fleet.plan().out
    assert re.search(rf"front\.http\.published +\*:{fleet.port} -> \*:81\n", moved), moved
    assert "+/-" not in moved and "1 to adjust" in moved


def test_replacing_what_others_call_leaves_them_untouched_and_keeps_its_data(fleet: TryFleet) -> None:
    assert fleet.apply().code == 0
    fleet.get()
    fronts = {n: fleet.pid(f"front-{n}") for n in range(3)}
    old = fleet.rows()["counter-0"]["generation"]
    assert fleet.apply("-replace", "counter-0").code == 0
    assert fleet.rows()["counter-0"]["generation"] != old
    assert {n: fleet.pid(f"front-{n}") for n in range(3)} == fronts
    fleet.get()


def test_a_plan_says_how_long_it_takes_once_applies_have_done_the_like(fleet: TryFleet) -> None:
    assert "\nTakes at least 1 s: what starts has to stay healthy for that long.\n" in fleet.plan().out
    assert fleet.apply().code == 0
    assert fleet.apply("-replace", "front-0").code == 0
    planned = fleet.plan("-replace", "front-1").out
    assert re.search(r"^Takes about [1-9][0-9]* s, as earlier applies did\.$", planned, re.MULTILINE), planned


def test_back_and_forth_never_uses_a_directory_twice(fleet: TryFleet) -> None:
    seen: list[str] = []
    for words in ((), ("-replace", "front-0"), ("-replace", "front-0")):
        assert fleet.apply(*words).code == 0
        seen.append(fleet.rows()["front-0"]["generation"])
    for greeting in ("b", "hello"):
        fleet.edit("--greeting=[a-z]+", f"--greeting={greeting}")
        assert fleet.apply().code == 0
        seen.append(fleet.rows()["front-0"]["generation"])
    assert len(set(seen)) == len(seen)


def test_a_generation_that_never_answers_is_removed_and_the_old_one_stays(fleet: TryFleet) -> None:
    assert fleet.apply().code == 0
    pids = {n: fleet.pid(f"front-{n}") for n in range(3)}
    fleet.edit('"--greeting=hello"', '"--greeting=hello", "--mute"')
    fleet.edit("min_healthy_time: 500ms", "min_healthy_time: 500ms, healthy_deadline: 2s, timeout: 500ms")
    applied = fleet.apply()
    assert applied.code == 8, applied.out + applied.err
    assert {n: fleet.pid(f"front-{n}") for n in range(3)} == pids
    assert "hello" in fleet.get()
    began = set(fleet.root.glob("fleets/*/retired/*"))
    planned, again = fleet.plan(), fleet.apply()
    assert (planned.code, again.code) == (1, 1), planned.out + again.out + again.err
    assert "held_because_failed_before" in again.out
    assert set(fleet.root.glob("fleets/*/retired/*")) == began
    fleet.edit('"--mute"', '"--unhealthy-until=500"')
    assert fleet.plan().code == 2
    fleet.edit('"--unhealthy-until=500"', '"--mute"')
    assert fleet.apply("-retry").code == 8
    assert len(set(fleet.root.glob("fleets/*/retired/*"))) > len(began)


def test_destroy_leaves_nothing_but_retired_records_and_volumes(fleet: TryFleet) -> None:
    assert fleet.apply().code == 0
    assert fleet.run("destroy", "-auto-approve").code == 0
    assert fleet.processes() == []
    assert list((fleet.root / "run").glob("*")) == []
    left = {path.relative_to(fleet.root).parts[2] for path in (fleet.root / "fleets").glob("*/*")}
    assert left <= {"retired", "volumes"}
    assert [p for p in (fleet.root / "claims").rglob("*") if p.is_file()] == []
    with pytest.raises(OSError, match="refused"):
        fleet.get()


def test_the_plan_is_the_same_without_any_local_file_of_the_tool(fleet: TryFleet, tmp_path: Path) -> None:
    assert fleet.apply().code == 0
    fleet.edit("replicas: 3", "replicas: 2")
    before = fleet.plan("-json").json
    home = tmp_path / "home"
    home.mkdir()
    assert fleet.plan("-json").json["changes"] == before["changes"]


def test_a_saved_plan_does_just_that_and_is_stale_once_something_moved(fleet: TryFleet, tmp_path: Path) -> None:
    assert fleet.apply().code == 0
    fleet.edit("replicas: 3", "replicas: 4")
    saved = tmp_path / "saved.plan"
    assert fleet.plan("-out", str(saved)).code == 2
    assert fleet.apply("-replace", "front-0").code == 0
    import subprocess

    from tests.operations.fleets import UNICTL

    stale = subprocess.run([*UNICTL, "apply", str(saved)], capture_output=True, text=True, check=False, timeout=60)
    assert stale.returncode == 4, stale.stdout + stale.stderr
    assert "front-0" in stale.stdout + stale.stderr


def test_what_guests_print_is_shown_also_of_the_generation_before(fleet: TryFleet) -> None:
    assert fleet.apply().code == 0
    generation = fleet.rows()["front-0"]["generation"]
    shown = fleet.logs("front-0")
    assert f"front-0 generation {generation}" in shown.out
    assert fleet.apply("-replace", "front-0").code == 0
    assert generation not in fleet.logs("front-0").out
    assert generation in fleet.logs("front-0", "-previous").out
    follow = [*UNICTL, "logs", "front", str(fleet.folder), "-f"]
    # What runs in the background of a shell has SIGINT ignored, and would hand that on.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    following = subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heard)  # type: ignore[call-overload]
    try:
        assert following.stdout.readline().startswith("front-")
        following.send_signal(signal.SIGINT)
        assert following.communicate(timeout=30)[1].strip() == "Interrupted."
        assert following.returncode == 130
    finally:
        following.kill()
        following.wait()


def test_two_fleets_of_one_name_and_one_port_for_two_are_refused_by_name(fleet: TryFleet, tmp_path: Path) -> None:
    assert fleet.apply().code == 0
    (tmp_path / "other").mkdir()
    other = TryFleet(tmp_path / "other")
    other.edit(re.escape(str(other.root)), str(fleet.root))
    twin = other.apply()
    assert twin.code == 6
    assert "hello" in twin.out
    other.edit("name: hello", "name: rival")
    other.edit(rf"\{{{other.port}: http\}}", f"{{{fleet.port}: http}}")
    rival = other.apply()
    assert rival.code == 6
    assert str(fleet.port) in rival.out
    assert sorted(fleet.rows()) == ["counter-0", "front-0", "front-1", "front-2"]


def test_one_machine_under_two_names_is_refused(fleet: TryFleet) -> None:
    fleet.edit(r"  local: (\{.*\})", r"  local: {connect: local, root: ROOT, address: 127.0.0.1}")
    text = fleet.yaml().replace("ROOT", str(fleet.root))
    again = f"  again: {{connect: local, root: {fleet.root}/., address: 127.0.0.2}}\n"
    (fleet.folder / "fleet.yaml").write_text(text.replace("\nimages:", again + "\nimages:", 1))
    refused = fleet.apply()
    assert refused.code in (3, 6), refused.out + refused.err
    assert "local" in refused.out + refused.err
    assert "again" in refused.out + refused.err
    assert fleet.processes() == []
