"""What a host has left, and what an instance takes of it."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.instances.samples import FACTS, GIB, HTTP, LAW, fleet, live, running, service, survey, world
from unictl.fleet.model import MIB, Host, Publication
from unictl.fleet.quantities import Share
from unictl.instances.desired.instance import desired_instances
from unictl.instances.observed.host_state import Claim, LiveState, UnreachableHost
from unictl.instances.placement.capacity import (
    HostCapacity,
    Need,
    ReplacementPeak,
    free_memory,
    host_capacities,
    host_reserve,
)


@pytest.mark.parametrize(
    ("total", "declared", "kept"),
    [
        (1 * GIB, None, 256 * MIB),
        (64 * GIB, None, -(-64 * GIB // 10)),
        (64 * GIB, 0, 0),
        (64 * GIB, 5 * GIB, 5 * GIB),
        (64 * GIB, Share(number=25, percent=True), 16 * GIB),
    ],
)
def test_a_tenth_is_kept_back_at_least_256_mib_unless_the_host_says_otherwise(
    total: int, declared: int | Share | None, kept: int
) -> None:
    assert host_reserve(Host(name="hv1", reserve=declared), total) == kept


def test_declared_memory_never_promises_more_than_there_is() -> None:
    said = survey("hv1", memory=4 * GIB)
    assert free_memory(Host(name="hv1", memory=2 * GIB, reserve=0), said) == 2 * GIB
    assert free_memory(Host(name="hv1", memory=9 * GIB, reserve=0), said) == 4 * GIB


def test_what_others_hold_is_taken() -> None:
    claims = (
        Claim(kind="memory", owner="a", holder="x-0.1", amount=GIB),
        Claim(kind="memory", owner="b", holder="y-0.1", amount=GIB),
        Claim(kind="port", owner="", holder="", port=80),
    )
    assert free_memory(Host(name="hv1", reserve=0), survey("hv1", memory=4 * GIB, claims=claims)) == 2 * GIB


@pytest.mark.parametrize("state", ["running", "unsupervised", "begun", "ended", "leaving", "lost"])
def test_every_record_holds_what_it_was_promised_whatever_its_state(state: str) -> None:
    declared = fleet(service(memory=GIB, cpus=2), hosts=(Host(name="hv1", reserve=0),))
    one = desired_instances(declared, FACTS)[0]
    empty, full = (
        host_capacities(declared, said)["hv1"]
        for said in (world(declared), running(world(declared), live(one, "hv1", state=state)))
    )
    assert empty.memory - full.memory == one.memory + one.overhead
    assert full.cpus - empty.cpus == 2


def test_ports_are_those_of_the_range_that_nobody_holds() -> None:
    declared = fleet(
        service(ports=HTTP, publish=(Publication(port=10_001, to="http"), Publication(port=80, to="http")))
    )
    claims = tuple(Claim(kind="port", owner="", holder="", port=port) for port in (10_000, 10_001, 443))
    one = live(desired_instances(declared, FACTS)[0], "hv1", forwards=({"name": "http", "host": 10_002},))
    said = running(world(declared, hv1=survey("hv1", claims=claims)), one)
    assert host_capacities(declared, said)["hv1"].ports == 10_000 - 3


def test_a_silent_host_has_no_room_and_no_host_outside_of_the_fleet_has() -> None:
    declared = fleet(service(), hosts=("hv1", "hv2"))
    said: LiveState = {
        "hv1": UnreachableHost(host="hv1", reason="timed out"),
        "hv2": survey("hv2"),
        "hv9": survey("hv9"),
    }
    assert set(host_capacities(declared, said)) == {"hv2"}


HAS = st.tuples(*[st.integers(-3, 6)] * 4)
NEEDS = st.tuples(*[st.integers(0, 5)] * 4)


@LAW
@given(HAS, NEEDS)
def test_a_need_fits_exactly_when_nothing_lacks(has: tuple[int, ...], needs: tuple[int, ...]) -> None:
    memory, cpus, disk, ports = has
    room = HostCapacity(memory=memory, cores=2, cpus=cpus, disk=disk, ports=ports)
    need = Need(memory=needs[0], cpus=needs[1], disk=needs[2], ports=needs[3])
    assert room.fits(need, 2.0) == (not room.shortages(need, 2.0))
    assert all(lack.need > lack.free >= 0 for lack in room.shortages(need, 2.0))


@LAW
@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 4))
def test_a_wave_grows_to_the_largest_that_can_be_doubled_at_once(sizes: list[int], most: int) -> None:
    wave = ReplacementPeak(max_count=most)
    total = 0
    for size in sizes:
        total += wave.growth(size, 0)[0]
        wave.add(size, 0)
    worst = max((sum(some) for some in combinations(sizes, min(most, len(sizes)))), default=0)
    assert total == worst
