"""One writer per host and fleet; nothing can be left locked."""

import os
import signal
import threading
import time

import pytest

from tests.onhost.world import OWNER, Call, Connection, World
from unictl.onhost import errors
from unictl.onhost.handlers import lease
from unictl.onhost.lease import fleet_lease, lease_holder
from unictl.onhost.protocol.messages import MESSAGES
from unictl.onhost.storage import locks


def ask(wait: float = 0) -> dict[str, object]:
    return {"owner": OWNER, "mark": "shop", "id": "5f0c2a", "holder": {"user": "eve", "doing": "apply"}, "wait": wait}


def hold_in_a_child(world: World, stop: bool = False) -> int:
    """A process that takes the lease and sleeps; its pid."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        lease.acquire(world.root, ask(), Call())
        os.write(writing, b"x")
        if stop:
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60)
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    return pid


def test_of_two_holders_the_second_is_told_who_the_first_is(world: World) -> None:
    lease.acquire(world.root, ask(), Call())
    with pytest.raises(errors.HostError) as problem:
        lease.acquire(world.root, ask(), Call())
    assert problem.value.kind == "busy"
    assert "eve (apply)" in problem.value.text


def test_the_token_rises_with_every_acquisition(world: World) -> None:
    first = world.acquire()
    world.release()
    assert world.acquire() == first + 1


def test_asking_twice_on_one_connection_is_one_lease(world: World) -> None:
    assert world.acquire() == world.acquire()


def test_a_waiter_gets_it_when_the_holder_gives_it_back(world: World) -> None:
    world.acquire()
    threading.Timer(0.1, world.release).start()
    assert lease.acquire(world.root, ask(wait=5), Call())["token"] == 2


def test_waiting_can_be_cancelled(world: World) -> None:
    world.acquire()
    call = Call()
    threading.Timer(0.1, call.cancelled.set).start()
    with pytest.raises(errors.HostError) as problem:
        lease.acquire(world.root, ask(wait=30), call)
    assert problem.value.kind == "cancelled"


def test_a_killed_holder_leaves_no_lock(world: World) -> None:
    pid = hold_in_a_child(world)
    assert (lease_holder.current_holder(world.root, OWNER) or {})["user"] == "eve"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert lease_holder.current_holder(world.root, OWNER) is None
    world.acquire()


def test_a_stopped_holder_is_shown_as_such_and_can_be_ended(world: World) -> None:
    pid = hold_in_a_child(world, stop=True)
    os.waitpid(pid, os.WUNTRACED)
    assert (lease_holder.current_holder(world.root, OWNER) or {})["process"] == "T"
    with pytest.raises(errors.HostError) as problem:
        world.acquire(wait=0)
    assert "stopped" in problem.value.text
    assert world.do("end-holder") == {"ended": True}
    os.waitpid(pid, 0)
    world.acquire()


def test_whatever_a_holder_does_it_first_looks_whether_its_token_is_still_the_last(held: World) -> None:
    with open(f"{lease_holder.lease_path(held.root, OWNER)}.token", "w") as file:
        file.write("7")
    for name in (name for name, message in MESSAGES.items() if message.needs_lease):
        with pytest.raises(errors.HostError) as problem:
            held.do(name, key="web-0.0123abcd", instances=[])
        assert problem.value.kind == "lost-lease"
    assert not locks.is_locked(lease_holder.lease_path(held.root, OWNER))


def test_a_lease_of_one_fleet_is_none_of_another(held: World) -> None:
    held.do("lease", mark="shop", id="5f0c2a")
    other = Call(held.connection)
    with pytest.raises(errors.HostError):
        fleet_lease.require({"owner": "other-123456"}, other)
    lease.acquire(held.root, {"owner": "other-123456", "mark": "other"}, Call(Connection()))


def test_the_lock_file_is_never_unlinked_so_two_never_hold(held: World) -> None:
    held.do("collect-garbage", end=True)
    assert locks.is_locked(lease_holder.lease_path(held.root, OWNER))


def test_a_new_holder_sweeps_what_a_killed_run_left_aside(held: World) -> None:
    fleet = held.root.fleet(OWNER)
    for left in ("instances/.new-web-0.0123abcd", "volumes/.gone-orders", "retired/.gone-x"):
        os.makedirs(f"{fleet}/{left}/deep")
    for left in (f"{fleet}/.new-policy.json-1-2", f"{held.root.images}/.partial-{'a' * 64}"):
        with open(left, "w"):
            pass
    assert held.survey()["leftovers"] == 5
    held.release()
    held.acquire()
    assert held.survey()["leftovers"] == 0


def test_a_holder_without_a_beat_for_long_is_ended_by_whoever_wants_its_lease(world: World) -> None:
    pid = hold_in_a_child(world, stop=True)
    with pytest.raises(errors.HostError):
        lease.acquire(world.root, ask(), Call())
    old = b"%020.3f" % (time.monotonic() - fleet_lease.STALE_AFTER - 1)
    with open(lease_holder.lease_path(world.root, OWNER), "r+b") as file:
        file.write(old)
    assert lease.acquire(world.root, ask(), Call())["token"] == 2
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_holder_that_beats_is_left_alone_however_old(world: World) -> None:
    held = Connection()
    lease.acquire(world.root, ask(), Call(held))
    assert held.lease is not None
    with open(lease_holder.lease_path(world.root, OWNER), "r+b") as file:
        file.write(b"%020.3f" % (time.monotonic() - fleet_lease.STALE_AFTER - 1))
    held.lease._beaten = 0.0
    held.lease.beat()
    assert lease_holder.silent_seconds(lease_holder.lease_path(world.root, OWNER)) < 5
    with pytest.raises(errors.HostError):
        lease.acquire(world.root, ask(), Call())
