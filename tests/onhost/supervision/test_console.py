"""What a guest says is there: from its first byte on, beside a supervisor that dies, and never more than is bounded."""

import itertools
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guests import synthetic_images
from tests.onhost.supervision.test_daemon import KEY, text_of
from tests.onhost.world import OWNER, Call, World, document, size
from unictl.onhost.handlers import logs
from unictl.onhost.instances import console_log

needs_qemu = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs QEMU")
PIPE = 64 << 10
FLOOD = """
import socket, sys
client, _ = socket.socket(fileno=3).accept()
while True:
    client.sendall(b"0123456789abcdef" * 4096)
"""


def qemu(sha: str, *more: str) -> tuple[str, ...]:
    words = (
        "{qemu} -nodefaults -no-user-config -no-reboot -display none -M microvm,acpi=off -accel tcg -cpu max -m 16 "
        "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny "
        "-chardev {console} -serial chardev:console -qmp unix:{run}/qmp,server=on,wait=off "
        f"-device isa-debug-exit,iobase=0x501,iosize=4 -kernel {{image:{sha}}}"
    )
    return (*words.split(), *more)


def until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def counted(world: World) -> list[int]:
    """The whole numbers that the counting guest said, as far as its console reaches back."""
    lines = text_of(world).split("\n")[1:-1]
    return [int("".join(f"{ord(letter) - ord('a'):x}" for letter in line), 16) for line in lines]


def gaps(numbers: list[int]) -> int:
    return sum(1 for one, next_ in itertools.pairwise(numbers) if next_ != one + 1)


@pytest.mark.real
@needs_qemu
def test_of_guests_that_say_all_in_a_millisecond_every_byte_is_there(held: World) -> None:
    sha = held.stage(synthetic_images.echo(3))
    names = [f"web-{number}" for number in range(12)]
    said = {name: f"{name} " + "x" * 600 + " end" for name in names}
    documents = [
        document(name, argv=qemu(sha, "-append", said[name]), images=[sha], hypervisor="qemu") for name in names
    ]
    assert all(outcome["ok"] for outcome in held.launch(*documents))
    for name in names:
        held.until(f"{name}.0123abcd", "ended", seconds=60)
        # QEMU may add the places of its devices to what the guest is told.
        told = text_of(held, name=name)
        assert told.startswith(said[name])


@pytest.mark.real
@needs_qemu
def test_a_guest_speaks_on_when_its_supervisor_is_killed_and_the_next_one_hears_it(held: World) -> None:
    sha = held.stage(synthetic_images.counting())
    held.launch(document(argv=qemu(sha), images=[sha], hypervisor="qemu"))
    until(lambda: len(counted(held)) > 100)
    held.kill_supervisor()
    before = counted(held)
    assert gaps(before) == 0
    time.sleep(1)
    held.release()
    held.acquire()
    until(lambda: len(counted(held)) > len(before) + 100)
    # The first of them is a line cut in two: its supervisor died amidst one, the next one came amidst another.
    after = counted(held)[len(before) + 1 :]
    # It was not held up by a pipe that nobody emptied: more was said meanwhile than one could hold.
    assert (after[0] - before[-1]) * len("abcdefgh\n") > 2 * PIPE
    assert gaps(after) == 0
    assert held.row(KEY)["starts"] == 1


@pytest.mark.real
@needs_qemu
def test_following_goes_on_over_a_supervisors_death(held: World) -> None:
    sha = held.stage(synthetic_images.counting())
    held.launch(document(argv=qemu(sha), images=[sha], hypervisor="qemu"))
    call = Call(held.connection)
    asked = {"owner": OWNER, "name": "web-0", "follow": True}
    following = threading.Thread(target=logs.tail, args=(held.root, asked, call))
    following.start()
    until(lambda: len(call.events) > 2)
    held.kill_supervisor()
    held.release()
    heard = len(call.events)
    held.acquire()
    until(lambda: len(call.events) > heard + 2)
    call.cancelled.set()
    following.join(60)
    assert not following.is_alive()


def test_a_guest_that_floods_its_serial_port_stays_bounded(held: World) -> None:
    held.launch(document(argv=("/usr/bin/python3", "-I", "-c", FLOOD, "{console}")))
    folder = Path(held.root.instance(OWNER, KEY))

    def turns() -> int:
        return (folder / "console.0").stat().st_ino if (folder / "console.0").exists() else 0

    seen = {0}
    for _ in range(3):
        until(lambda: turns() not in seen)
        seen.add(turns())
        sizes = [size(each) for each in folder.glob("console.*")]
        assert max(sizes) <= console_log.FILE_LIMIT
        assert len(sizes) <= 2
    begun = time.monotonic()
    held.retire(KEY)
    assert time.monotonic() - begun < 60


def test_what_qemu_says_of_its_consoles_socket_is_not_shown(held: World) -> None:
    line = (
        "qemu-system-x86_64: -chardev socket,id=console,fd=3,server=on,wait=on: info: QEMU waiting for connection on: x"
    )
    held.launch(document(argv=("/bin/sh", "-c", f"echo '{line}'; echo hello; exec sleep 1000")))
    until(lambda: "hello" in text_of(held))
    assert text_of(held) == "hello\n"


def test_a_stopped_supervisor_holds_a_guest_up_and_loses_nothing(held: World) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done; exec sleep 1000"
    held.launch(document(argv=("/bin/sh", "-c", script)))
    os.kill(held.supervisor(), signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(held.supervisor(), signal.SIGCONT)
    until(lambda: "line 20000\n" in text_of(held))
    assert text_of(held) == "".join(f"line {number}\n" for number in range(1, 20001))
