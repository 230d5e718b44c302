"""The law of the fence: a writer that is stopped before any of its changes, and wakes after its lease was taken over,
changes nothing.

What is written aside does not count: nobody sees it, and a lease that is taken sweeps it. The lock file is taken away
first: with it there the next holder ends the one before (``test_fleet_lease``), and the dead write nothing.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.onhost import test_crash_law
from tests.onhost.counting import Counter
from tests.onhost.world import OWNER, World, short_folder
from unictl.onhost import errors
from unictl.onhost.lease import lease_holder
from unictl.onhost.storage import fence

SUPERVISORS = ("run-log.jsonl", "console.0", "console.1")
"""Written by the supervisor, which needs no lease."""


def launch(world: World) -> None:
    world.launch(test_crash_law.doc())


def collect(world: World) -> None:
    world.do("collect-garbage", revision="feed", images=["a" * 64], keep_images=1, keep_retired=1)


def destroy(world: World) -> None:
    world.do("collect-garbage", end=True)


def twice_retired(world: World) -> None:
    test_crash_law.setup_running(world)
    test_crash_law.run_retire(world)
    test_crash_law.run_launch(world)
    world.retire("web-0.0123abcd")
    world.release()


COMMANDS = {
    "launch": (test_crash_law.setup_stored, launch),
    "retire": (test_crash_law.setup_running, test_crash_law.run_retire),
    "stage": (test_crash_law.setup_nothing, test_crash_law.run_stage),
    "volume": (test_crash_law.setup_nothing, test_crash_law.run_volume),
    "volume delete": (test_crash_law.setup_stored, test_crash_law.run_volume_delete),
    "records": (test_crash_law.setup_running, test_crash_law.run_records),
    "collect": (twice_retired, collect),
    "destroy": (test_crash_law.setup_stored, destroy),
}


def seen(world: World) -> dict[str, bytes | None]:
    """Everything of the store that is not aside and not the supervisor's: files with what is in them, folders."""
    found: dict[str, bytes | None] = {}
    for folder, folders, files in os.walk(world.root.path):
        folders[:] = [name for name in folders if not name.startswith((".new-", ".gone-")) and name != "run"]
        for name in files:
            if not name.startswith((".new-", ".partial-", ".seen")) and name not in SUPERVISORS:
                found[f"{folder}/{name}"] = Path(folder, name).read_bytes()
        found[folder] = None
    for own in (world.root.path + "/counter", world.root.host_lock, lease_holder.lease_path(world.root, OWNER)):
        found.pop(own, None)
    return found


def stopped(world: World, before: int, command: Callable[[World], None]) -> int:
    """The pid of a holder that was stopped before its k-th mutation; 0 where there is none so late."""
    pid = os.fork()
    if pid == 0:
        try:
            world.acquire()
            sys.addaudithook(Counter(world.root.path + "/counter", before, signal.SIGSTOP).hook)
            command(world)
        except (errors.HostError, OSError):
            # Its lease, or what it had written aside, is gone.
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, os.WUNTRACED)
    return pid if os.WIFSTOPPED(status) else 0


def take_over(world: World) -> World:
    """The next holder, who finds no lock."""
    Path(lease_holder.lease_path(world.root, OWNER)).unlink(missing_ok=True)
    other = World(world.root.path)
    other.acquire()
    return other


@pytest.mark.parametrize("name", COMMANDS)
def test_stopped_before_any_change_and_woken_after_a_take_over_nothing_is_changed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence, "WRITE_TIMEOUT", 0.02)
    setup, command = COMMANDS[name]
    before = 1
    while True:
        world = World(short_folder())
        try:
            setup(world)
            pid = stopped(world, before, command)
            if not pid:
                break
            other = take_over(world)
            there = seen(world)
            os.kill(pid, signal.SIGCONT)
            _, status = os.waitpid(pid, 0)
            assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL), (name, before)
            assert seen(world) == there, f"{name}, stopped before mutation {before}"
            other.release()
        finally:
            world.close()
        before += 1
    assert before > 5
