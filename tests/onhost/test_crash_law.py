"""The crash law: killed before any mutation, a survey still classifies, the same command again converges, nothing is
doubled and nothing is left over.

Kill points are enumerated with an audit hook in a forked child (and whatever it forks): it counts mutations and kills
its process before the k-th, for every k.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.onhost.counting import Counter
from tests.onhost.counting import killed as died
from tests.onhost.world import OWNER, World, document, short_folder
from unictl.onhost.storage import identifiers

STATES = {"begun", "running", "unsupervised", "ended", "leaving", "lost"}
IMAGE = os.urandom(200_000)
SHA = hashlib.sha256(IMAGE).hexdigest()


def killed(world: World, kill_before: int, command: Callable[[World], None]) -> tuple[bool, int]:
    """Run a command in a child that is killed before its k-th mutation: (whether it ended by itself, mutations)."""
    counter = Counter(world.root.path + "/counter", kill_before)
    return not died(counter.install, lambda: command(world)), counter.value


def doc() -> dict[str, Any]:
    return document("web-0", images=[SHA], volumes=["orders"], config="append = x", argv=("/bin/sleep", "86399"))


def setup_nothing(world: World) -> None:
    pass


def setup_stored(world: World) -> None:
    world.acquire()
    world.stage(IMAGE)
    world.do("volume", action="create", name="orders", size=4096)
    world.release()


def setup_running(world: World) -> None:
    setup_stored(world)
    run_launch(world)
    world.release()


def setup_unsupervised(world: World) -> None:
    setup_running(world)
    world.kill_supervisor()


def run_launch(world: World) -> None:
    world.acquire()
    (outcome,) = world.launch(doc())
    assert outcome["ok"], outcome


def run_retire(world: World) -> None:
    world.acquire()
    world.retire("web-0.0123abcd")


def run_stage(world: World) -> None:
    world.acquire()
    world.stage(IMAGE)


def run_volume(world: World) -> None:
    world.acquire()
    world.do("volume", action="create", name="orders", size=4096)


def run_volume_delete(world: World) -> None:
    world.acquire()
    world.do("volume", action="delete", name="orders")


def run_records(world: World) -> None:
    world.acquire()
    world.do("append-ledger", entry={"what": "apply"})
    world.do("record-applied", policy={"max_destroy": 1}, hosts=["a"])
    world.do("set-marks", key="web-0.0123abcd", protect=True, commit="feed")


def holders(world: World) -> int:
    """How many processes hold the instance's liveness lock file open."""
    path = world.root.run(identifiers.run_dir_name(OWNER, "web-0.0123abcd")) + "/alive"
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            count += any(os.readlink(f"/proc/{pid}/fd/{fd}") == path for fd in os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
    return count


def check_running(world: World) -> None:
    assert world.states() == {"web-0.0123abcd": "running"}
    deadline = time.monotonic() + 60
    while holders(world) != 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holders(world) == 1


def check_gone(world: World) -> None:
    assert world.states() == {}
    assert holders(world) == 0
    assert world.survey()["retired"] == {"web-0": 1}
    assert len(os.listdir(world.root.retired(OWNER))) == 1
    assert not os.path.exists(world.root.run(identifiers.run_dir_name(OWNER, "web-0.0123abcd")))


def check_image(world: World) -> None:
    assert world.survey()["images"] == [SHA]
    with open(f"{world.root.images}/{SHA}", "rb") as file:
        assert file.read() == IMAGE


def check_volume(world: World) -> None:
    assert world.survey()["volumes"] == [{"name": "orders", "size": 4096, "used_by": ""}]


def check_no_volume(world: World) -> None:
    assert world.survey()["volumes"] == []


def check_records(world: World) -> None:
    told = world.survey()
    assert (told["policy"], told["hosts"]) == ({"max_destroy": 1}, "a")
    assert told["instances"][0]["protect"] is True
    assert world.do("read-ledger", limit=0)["entries"][-1]["what"] == "apply"


SCENARIOS = {
    "launch": (setup_stored, run_launch, check_running),
    "retire": (setup_running, run_retire, check_gone),
    "retire without a supervisor": (setup_unsupervised, run_retire, check_gone),
    "launch of what runs without a supervisor": (setup_unsupervised, run_launch, check_running),
    "stage": (setup_nothing, run_stage, check_image),
    "volume": (setup_nothing, run_volume, check_volume),
    "volume delete": (setup_stored, run_volume_delete, check_no_volume),
    "records": (setup_running, run_records, check_records),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_any_point_the_same_command_converges(name: str) -> None:
    setup, command, check = SCENARIOS[name]
    kill_before, whole = 1, False
    while not whole:
        world = World(short_folder())
        try:
            setup(world)
            whole, total = killed(world, kill_before, command)
            whole = whole and total < kill_before
            assert set(world.states().values()) <= STATES
            command(world)
            assert world.survey()["leftovers"] == 0, kill_before
            check(world)
            assert not world.fault()
        except BaseException:
            sys.stderr.write(f"{name}: killed before mutation {kill_before}\n")
            raise
        finally:
            world.close()
        kill_before += 1
    assert kill_before > 5
