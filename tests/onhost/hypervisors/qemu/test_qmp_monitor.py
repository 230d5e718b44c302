"""What the supervisor learns by QMP, from a stand-in that speaks it and from QEMU itself."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.onhost.supervision.test_daemon import text_of
from tests.onhost.world import OWNER, World, document, short_folder
from unictl.onhost.hypervisors.qemu import accelerator_trials
from unictl.onhost.platform import privileges
from unictl.onhost.storage import identifiers

KEY = "web-0.0123abcd"
QEMU = shutil.which("qemu-system-x86_64") or ""
SPEAKER = """
import json, socket, sys, time
path, script = sys.argv[1], sys.argv[2]
server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen(1)
connection, _ = server.accept()
say = lambda told: connection.sendall(json.dumps(told).encode() + b"\\n")
say({"QMP": {}})
status = "running"
for line in connection.makefile():
    asked = json.loads(line)["execute"]
    if asked == "query-status":
        say({"return": {"status": status, "running": status == "running"}})
        if status == "running" and script == "stop":
            status = "internal-error"
            say({"event": "STOP"})
        if script == "shutdown":
            say({"event": "SHUTDOWN", "data": {"guest": True, "reason": "guest-reset"}})
            sys.exit(0)
    else:
        say({"return": {}})
"""


def speaker(script: str) -> tuple[str, ...]:
    return ("/usr/bin/python3", "-I", "-c", SPEAKER, "{run}/qmp", script)


def test_a_paused_broken_hypervisor_is_ended_and_its_guest_has_crashed(held: World) -> None:
    held.launch(document(argv=speaker("stop"), restart="on-crash"))
    row = held.until(KEY, "ended", verdict="crash")
    assert (row["end"]["reason"], row["end"]["signal"], row["end"]["restarting"]) == ("internal-error", None, True)


def test_the_reason_of_a_shutdown_decides_by_the_exit_table(held: World) -> None:
    exits = [{"verdict": "crash", "reason": "guest-reset"}, {"verdict": "clean", "status": 0}]
    held.launch(document(argv=speaker("shutdown"), exits=exits))
    row = held.until(KEY, "ended", verdict="crash")
    assert row["end"]["reason"] == "guest-reset"


def qemu(*more: str) -> tuple[str, ...]:
    words = (
        "{qemu} -nodefaults -no-user-config -no-reboot -display none -M microvm,acpi=off -accel tcg -m 16 "
        "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny "
        "-chardev {console} -serial chardev:console "
        "-qmp unix:{run}/qmp,server=on,wait=off -pidfile {run}/pid -kernel {image:KERNEL}"
    )
    return (*words.split(), *more)


def real(world: World, *more: str, **kw: object) -> None:
    sha = world.stage((Path(accelerator_trials.__file__).parent / "probe.elf").read_bytes())
    argv = tuple(word.replace("KERNEL", sha) for word in qemu(*more))
    (outcome,) = world.launch(document(argv=argv, images=[sha], hypervisor="qemu", **kw))
    assert outcome["ok"], outcome


needs_qemu = pytest.mark.skipif(not QEMU, reason="needs QEMU")


@pytest.mark.real
@needs_qemu
def test_a_real_guest_says_something_and_its_exit_code_is_told(held: World) -> None:
    exits = [{"verdict": "clean", "status": 33}]
    real(held, "-device", "isa-debug-exit,iobase=0x501,iosize=4", exits=exits)
    row = held.until(KEY, "ended", seconds=20)
    assert (row["end"]["verdict"], row["end"]["status"]) == ("clean", 33)
    assert row["end"]["console"][-1] == "done"


@pytest.mark.real
@needs_qemu
def test_a_real_hypervisor_survives_its_supervisor_and_its_console_comes_back(held: World) -> None:
    real(held, "-S")
    path = held.root.run(identifiers.run_dir_name(OWNER, KEY)) + "/qmp"
    deadline = time.monotonic() + 60
    while not os.path.exists(path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pid = held.pid(KEY)
    held.kill_supervisor()
    assert held.states() == {KEY: "unsupervised"}
    held.release()
    held.acquire()
    held.until(KEY, "running")
    assert held.pid(KEY) == pid
    begin = time.monotonic()
    assert held.retire(KEY, grace=60_000)
    assert time.monotonic() - begin < 30
    assert "qemu" not in text_of(held).lower() or "terminating on signal" in text_of(held)


@pytest.mark.parametrize(
    ("mode", "gid", "given"), [(0o660, 60, [60]), (0o666, 60, [60]), (0o600, 60, []), (0o640, 60, []), (0o660, 0, [])]
)
def test_the_group_of_a_device_is_given_where_it_lets_it_in_and_never_roots(
    mode: int, gid: int, given: list[int]
) -> None:
    assert privileges.device_groups(os.stat_result((0o020000 | mode, 0, 0, 1, 0, gid, 0, 0, 0, 0))) == given


@pytest.mark.real
@needs_qemu
def test_a_real_hypervisor_is_in_no_group_but_that_of_kvm(held: World) -> None:
    real(held, "-S")
    held.until(KEY, "running")
    uid = privileges.instance_uid(held.root, identifiers.run_dir_name(OWNER, KEY))
    while b"qemu" not in Path(f"/proc/{held.pid(KEY)}/cmdline").read_bytes():
        time.sleep(0.01)
    told = dict(line.partition(":")[::2] for line in Path(f"/proc/{held.pid(KEY)}/status").read_text().splitlines())
    groups = [int(word) for word in told["Groups"].split()]
    if uid is None:
        assert set(groups) == set(os.getgroups())
    else:
        assert set(told["Uid"].split() + told["Gid"].split()) == {str(uid)}
        assert groups == privileges.extra_groups()
        assert 0 not in groups


@pytest.mark.real
@needs_qemu
def test_a_real_hypervisor_told_to_end_by_hand_is_killed_and_not_clean(held: World) -> None:
    real(held, "-S", restart="always", exits=[{"verdict": "clean", "status": 0}])
    path = held.root.run(identifiers.run_dir_name(OWNER, KEY)) + "/qmp"
    while not os.path.exists(path):
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(held.pid(KEY), signal.SIGTERM)
    held.until(KEY, "ended", verdict="killed", restarting=True)


BEYOND_KVM = bytes.fromhex("b800a08ed8dd060000f4ebfd").ljust(0xFFF0, b"\xf4") + bytes.fromhex("e90d00").ljust(
    16, b"\xf4"
)
"""A firmware that loads a floating-point number from where no memory is: KVM has to do that itself, and cannot."""


@pytest.fixture
def privileged() -> Iterator[World]:
    """A host whose hypervisors run as the tests do: /dev/kvm may be closed to others."""
    folder = short_folder()
    Path(folder).chmod(0o700)
    world = World(folder)
    world.acquire()
    yield world
    world.close()


@pytest.mark.real
@needs_qemu
@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="needs KVM")
def test_a_real_hypervisor_whose_kvm_fails_stays_up_and_is_ended_as_a_crash(privileged: World) -> None:
    sha = privileged.stage(BEYOND_KVM)
    words = f"{{qemu}} -nodefaults -no-user-config -display none -M pc -accel kvm -m 16 -bios {{image:{sha}}} "
    words += "-chardev {console} -serial chardev:console -qmp unix:{run}/qmp,server=on,wait=off"
    argv = tuple(words.split())
    (outcome,) = privileged.launch(document(argv=argv, images=[sha], hypervisor="qemu", restart="on-crash"))
    assert outcome["ok"], outcome
    row = privileged.until(KEY, "ended", verdict="crash")
    assert (row["end"]["reason"], row["end"]["signal"], row["end"]["restarting"]) == ("internal-error", None, True)
    assert "KVM internal error" in text_of(privileged)
