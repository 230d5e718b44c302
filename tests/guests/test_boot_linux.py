"""Linux, booted for real: the cloud kernel of Debian or Ubuntu and an init of our own, under TCG on q35."""

from pathlib import Path

import pytest

from tests.guests import linux_guest
from tests.guests.boot_samples import boot
from tests.guests.qemu_runner import QEMU, free_port, running
from unictl.guests.exit_rules import GuestExit, Verdict, classify_exit
from unictl.guests.identify import identify
from unictl.guests.image_facts import ImageFacts
from unictl.guests.linux import LINUX
from unictl.hypervisors.launch import Forward
from unictl.hypervisors.qemu import build_launch

pytestmark = [pytest.mark.real, pytest.mark.skipif(not QEMU, reason="no qemu-system-x86_64 here")]


class Guest:
    """The files of a Linux guest and what they say of themselves."""

    def __init__(self, cache: Path):
        kernel, modules = linux_guest.kernel(cache)
        initrd = cache / "initrd"
        initrd.write_bytes(linux_guest.initrd(modules, cache))
        paths = {"kernel": kernel, "initrd": initrd}
        self.facts: dict[str, ImageFacts] = {role: identify(path.read_bytes()) for role, path in paths.items()}
        self.images = {self.facts[role].sha256: path for role, path in paths.items()}


@pytest.fixture(scope="module")
def guest(request: pytest.FixtureRequest) -> Guest:
    cache = request.config.cache
    assert cache is not None
    try:
        return Guest(cache.mkdir("linux-guest"))
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


def test_the_kernel_is_known_by_its_header(guest: Guest) -> None:
    assert guest.facts["kernel"].notes["linux.version"].endswith(("cloud-amd64", "generic"))
    assert guest.facts["initrd"].kind == "cpio"


def test_init_answers_with_what_it_was_told_and_its_code_comes_back(guest: Guest) -> None:
    port = free_port()
    fields = {"name": "api-1", "args": ["--exit=7", "a,b"], "environment": {"MODE": "test"}, "memory": 128 << 20}
    handed = boot(fields)
    made = build_launch(LINUX, guest.facts, handed, [Forward(name="http", guest=8080, host=port)])
    with running(made, guest.images) as machine:
        machine.says("init: listening")
        body, seconds = machine.get(port, seconds=60)
        ended = classify_exit(made.exits, machine.ended())
    told = body.splitlines()
    assert told[:2] == ["arg --exit=7", "arg a,b"]
    assert {"env MODE=test", "env unictl_ip=10.0.2.15/24", "env unictl_name=api-1"} <= set(told)
    assert (ended.verdict, ended.code) == (Verdict.FAILURE, 7)
    print(f"first answer after {seconds:.1f} s")  # noqa: T201 - shown with -rP


@pytest.mark.parametrize(
    ("word", "ended"),
    [
        ("--power-off", (Verdict.CLEAN, None)),
        ("--exit=64", (Verdict.CONFIGURATION, 64)),
        ("--die", (Verdict.CRASH, None)),
        ("--reset", (Verdict.CRASH, None)),
    ],
)
def test_the_ends_of_linux_are_judged(guest: Guest, word: str, ended: tuple[Verdict, int | None]) -> None:
    made = build_launch(LINUX, guest.facts, boot({"name": "api-0", "args": ["--now", word], "memory": 128 << 20}))
    with running(made, guest.images) as machine:
        found: GuestExit = classify_exit(made.exits, machine.ended(60))
    assert (found.verdict, found.code) == ended, machine.console[-500:]
