"""Run on a host where systemd supervises: the host side is killed before its k-th mutation, for one k after the other,
and the same command then converges with nothing doubled and nothing left over.

    python3 law.py ZIP SCENARIO FIRST STRIDE

The handlers are those of the zip as it is shipped, in this process and in forks of it; a sleeping stand-in is the
hypervisor. Ends with 1 and one line where the law is broken; prints how many points were tried.
"""

import importlib.abc
import importlib.util
import os
import sys
import time
import types
from collections.abc import Callable
from typing import Any

sys.path[:0] = [sys.argv[1], os.path.dirname(os.path.abspath(__file__))]
import onhost


class SameModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The tests' own modules know the host side by its name in the repository: ``unictl.onhost.x`` is ``onhost.x``."""

    def find_spec(self, fullname: str, *_: object) -> Any:
        same = fullname.startswith("unictl.onhost.")
        return importlib.util.spec_from_loader(fullname, self) if same else None

    def create_module(self, spec: Any) -> Any:
        return importlib.import_module(spec.name.partition(".")[2])

    def exec_module(self, module: Any) -> None:
        """It is loaded already."""


_package: Any = types.ModuleType("unictl")
_package.onhost = onhost
sys.modules.update({"unictl": _package, "unictl.onhost": onhost})
sys.meta_path.insert(0, SameModules())
from counting import Counter, killed
from world import OWNER, World, document

from unictl.onhost.instances import instance_state
from unictl.onhost.storage import atomic, guarded_read, identifiers, layout, locks
from unictl.onhost.systemd import units

KEY = "web-0.0123abcd"
STORE = "/var/lib/law"
STATES = {"begun", "running", "unsupervised", "ended", "leaving"}


def launch(world: World) -> None:
    world.acquire()
    (outcome,) = world.launch(document(volumes=["orders"], config="append = x", argv=("/bin/sleep", "86399")))
    assert outcome["ok"], outcome


def retire(world: World) -> None:
    world.acquire()
    world.retire(KEY)


def destroy(world: World) -> None:
    world.acquire()
    world.retire(KEY)
    world.do("volume", action="delete", name="orders")
    world.do("collect-garbage", end=True)


def nothing(world: World) -> None:
    world.acquire()
    world.do("volume", action="create", name="orders", size=4096)


def stands(world: World) -> None:
    """It runs, once, by a unit that starts at boot."""
    assert world.states() == {KEY: "running"}, world.states()
    deadline = time.monotonic() + 60
    while len(found := holders(world)) != 1:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    (pid,) = found
    unit = units.unit_name(world.root, OWNER, KEY)
    assert units.owns_process(unit, pid), pid
    assert units.is_enabled(unit)
    assert ours() == sorted([unit, units.unit_name(world.root, OWNER), units.WANTS_DIR + "/" + unit]), ours()


def gone(world: World) -> None:
    """No process, no socket, no unit but the supervisor's, which has no instance any more."""
    assert world.states() == {}, world.states()
    assert holders(world) == []
    assert set(ours()) <= {units.unit_name(world.root, OWNER)}, ours()
    assert len(os.listdir(world.root.retired(OWNER))) == 1
    assert not os.path.exists(world.root.run(identifiers.run_dir_name(OWNER, KEY)))


def clean(world: World) -> None:
    """As before the first apply, but for what was retired."""
    gone(world)
    assert ours() == [], ours()
    assert guarded_read.list_names(world.root.runs) == []
    assert not os.path.exists(world.root.path + "/code")
    assert os.listdir(world.root.fleet(OWNER)) == ["retired"]


SCENARIOS: dict[str, tuple[Callable[[World], None], Callable[[World], None], Callable[[World], None]]] = {
    "launch": (nothing, launch, stands),
    "retire": (lambda world: (nothing(world), launch(world)), retire, gone),  # type: ignore[dict-item,func-returns-value]
    "destroy": (lambda world: (nothing(world), launch(world)), destroy, clean),  # type: ignore[dict-item,func-returns-value]
}


def holders(world: World) -> list[int]:
    """Processes that have the instance's liveness lock file open."""
    try:
        wanted = os.stat(world.root.run(identifiers.run_dir_name(OWNER, KEY)) + "/alive")
    except FileNotFoundError:
        return []
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            # By what it is, not by its name: a unit has mounts of its own, in which it may be called otherwise.
            files = [os.stat(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        found += [int(pid)] if any(os.path.samestat(wanted, each) for each in files) else []
    return found


def ours() -> list[str]:
    """Unit files, links to them and what lies aside there."""
    files = [name for name in os.listdir(units.UNIT_DIR) if "unictl-" in name]
    links = [f"{units.WANTS_DIR}/{name}" for name in guarded_read.list_names(units.WANTS_DIR) if "unictl-" in name]
    return sorted({*files, *links} - OTHERS)


OTHERS: set[str] = set()
"""What another fleet has there."""


def tried(name: str, before: int) -> bool:
    """One point of the law; whether there was one."""
    setup, command, check = SCENARIOS[name]
    world = World(STORE)
    try:
        setup(world)
        world.release()
        counter = Counter(STORE + "/counter", before)
        there = killed(lambda: sys.addaudithook(counter.hook), lambda: command(world))
        assert set(world.states().values()) <= STATES, world.states()
        command(world)
        assert world.survey()["leftovers"] == 0
        check(world)
        assert not world.fault(), world.fault()
        destroy(world)
        clean(world)
    finally:
        if world.connection.lease is not None:
            world.connection.lease.close()
    atomic.remove_tree(STORE)
    return there


def main() -> None:
    name, at, stride = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    points = 0
    OTHERS.update(ours())
    try:
        while tried(name, at):
            points, at = points + 1, at + stride
    except BaseException as error:
        print(f"{name}, killed before mutation {at}: {error!r}", file=sys.stderr)
        raise
    assert not locks.is_locked(instance_state.supervisor_dir(layout.StoreLayout(STORE), OWNER) + "/lock")
    print(points)


if __name__ == "__main__":
    main()
