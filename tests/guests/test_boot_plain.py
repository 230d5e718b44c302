"""Plain guests, booted for real with the argv we render: full sandbox, no KVM, as root and as nobody."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.guests import synthetic_images
from tests.guests.boot_samples import boot
from tests.guests.qemu_runner import QEMU, free_port, running
from unictl.guests.exit_rules import Verdict, classify_exit
from unictl.guests.identify import identify
from unictl.guests.image_facts import ImageFacts
from unictl.guests.plain import PLAIN
from unictl.hypervisors.launch import Forward
from unictl.hypervisors.qemu import LINE_LIMIT, build_launch

pytestmark = [pytest.mark.real, pytest.mark.skipif(not QEMU, reason="no qemu-system-x86_64 here")]
HELLO = Path(__file__).parents[2] / "playbooks/hello/hello.elf"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all")
USERS = [
    pytest.param((), id="as-we-are"),
    pytest.param(NOBODY, id="as-nobody", marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop from")),
]


def facts_of(path: Path) -> tuple[dict[str, ImageFacts], Mapping[str, Path]]:
    facts = identify(path.read_bytes())
    return {"kernel": facts}, {facts.sha256: path}


@pytest.fixture
def echo() -> Iterator[Path]:
    """A guest of 40 bytes that says its command line and ends with code 3, where nobody can read it too."""
    with tempfile.TemporaryDirectory(prefix="uctl") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "echo.elf"
        path.write_bytes(synthetic_images.echo(3))
        yield path


@pytest.fixture
def open_hello() -> Iterator[Path]:
    """The hello guest where everybody can read it: the folder of a checkout may be closed."""
    with tempfile.TemporaryDirectory(prefix="uctl") as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copy(HELLO, folder))


@pytest.mark.parametrize("wrap", USERS)
def test_a_guest_reads_its_words_and_its_code_comes_back(echo: Path, wrap: tuple[str, ...]) -> None:
    facts, images = facts_of(echo)
    handed = boot({"name": "api-0", "args": ["two words", "a,b=%c"], "memory": 4 << 20})
    made = build_launch(PLAIN, facts, handed)
    with running(made, images, wrap=wrap) as machine:
        ended = machine.ended()
    assert machine.console.startswith(PLAIN.command_line(handed) + " virtio_mmio.device=512@0xfeb0")
    verdict = classify_exit(made.exits, ended)
    assert (verdict.verdict, verdict.code, ended["reason"]) == (Verdict.FAILURE, 3, None)


def test_the_longest_command_line_arrives_whole(echo: Path) -> None:
    facts, images = facts_of(echo)
    empty = len(PLAIN.command_line(boot({"name": "api-0", "args": ["x"]}))) - 1
    handed = boot({"name": "api-0", "args": ["x" * (LINE_LIMIT.size - empty - 1) + "y"]})
    with running(build_launch(PLAIN, facts, handed), images) as machine:
        machine.ended()
    assert machine.console.startswith(PLAIN.command_line(handed) + " virtio_mmio")


def test_a_qemu_that_cannot_start_is_no_clean_end(echo: Path) -> None:
    facts, images = facts_of(echo)
    port = free_port()
    made = build_launch(
        PLAIN, facts, boot({"name": "api-0"}), [Forward(name=str(n), guest=80, host=port) for n in range(2)]
    )
    with running(made, images) as machine:
        ended = machine.ended()
    assert (ended["status"], classify_exit(made.exits, ended).verdict) == (1, Verdict.FAILURE)


hello = pytest.mark.skipif(not HELLO.exists(), reason="the hello guest is not built")


@hello
@pytest.mark.parametrize("wrap", USERS)
def test_hello_answers_http(open_hello: Path, wrap: tuple[str, ...]) -> None:
    facts, images = facts_of(open_hello)
    port = free_port()
    handed = boot({"name": "front-0", "args": ["--greeting=good morning"], "memory": 8 << 20})
    made = build_launch(PLAIN, facts, handed, [Forward(name="http", guest=8080, host=port)])
    with running(made, images, wrap=wrap) as machine:
        body, seconds = machine.get(port)
    assert "hello from front-0" in body and "good morning" in body and "7f3c9a1b" in body
    print(f"first answer after {seconds * 1000:.0f} ms")  # noqa: T201 - shown with -rP


@hello
@pytest.mark.parametrize(
    ("word", "verdict", "code"),
    [
        ("--exit=0@10", Verdict.CLEAN, 0),
        ("--exit=7@10", Verdict.FAILURE, 7),
        ("--exit=64@10", Verdict.CONFIGURATION, 64),
        ("--crash-after=10", Verdict.CRASH, None),
        ("--no-such-word", Verdict.CONFIGURATION, 64),
    ],
)
def test_hellos_ends_are_judged(word: str, verdict: Verdict, code: int | None) -> None:
    facts, images = facts_of(HELLO)
    made = build_launch(PLAIN, facts, boot({"name": "front-0", "args": [word], "memory": 8 << 20}))
    with running(made, images) as machine:
        found = classify_exit(made.exits, machine.ended())
    assert (found.verdict, found.code) == (verdict, code), machine.console


@hello
def test_hello_counts_on_its_volume(tmp_path: Path) -> None:
    facts, images = facts_of(HELLO)
    data = tmp_path / "data"
    data.write_bytes(bytes(1 << 20))
    disks = [{"device": "data", "volume": "counter"}]
    counts = []
    for _ in range(2):
        port = free_port()
        handed = boot({"name": "counter-0", "args": ["--count"], "memory": 8 << 20, "disks": disks})
        made = build_launch(PLAIN, facts, handed, [Forward(name="http", guest=8080, host=port)])
        with running(made, images, volumes={"counter": data}) as machine:
            counts.append(machine.get(port)[0])
    assert counts[0] != counts[1]
