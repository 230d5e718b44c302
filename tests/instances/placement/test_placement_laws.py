"""What holds for every placement, whatever fleet and world (Hypothesis)."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.instances.samples import FACTS, HTTP, LAW, fleet, live, running, service, survey
from unictl.fleet.model import MIB, Fleet, Host, Order, Placement, Service, Update, Volume
from unictl.fleet.quantities import Share
from unictl.instances.desired.instance import DesiredInstance, desired_instances
from unictl.instances.observed.host_state import Claim, LiveInstance, LiveState, LiveVolume, Survey
from unictl.instances.placement.capacity import free_memory
from unictl.instances.placement.constraints import must_stop_first
from unictl.instances.placement.place import Placement as Placed
from unictl.instances.placement.place import place

SIZES = st.sampled_from((8, 32, 64, 200, 400)).map(lambda size: size * MIB)
HOSTS = tuple(f"hv{n}" for n in range(5))


@st.composite
def services(draw: Any) -> list[Service]:
    names = draw(st.lists(st.sampled_from(("api", "db", "web", "img")), min_size=1, max_size=4, unique=True))
    return [draw(one_service(name, names)) for name in names]


@st.composite
def one_service(draw: Any, name: str, names: list[str]) -> Service:
    apart = draw(st.sampled_from(((), (), (names[0],))))
    return service(
        name,
        replicas=draw(st.integers(1, 6)),
        memory=draw(SIZES),
        cpus=draw(st.integers(1, 3)),
        ports=draw(st.sampled_from(((), HTTP))),
        volumes=draw(st.sampled_from(({}, {}, {"disk": name}))),
        update=Update(
            max_parallel=draw(st.sampled_from((Share(number=1), Share(number=3), Share(number=50, percent=True)))),
            order=draw(st.sampled_from((Order.AUTO, Order.STOP_FIRST))),
        ),
        placement=Placement(
            hosts=draw(st.sampled_from(("", "", "hv[0-2]"))),
            spread=draw(st.sampled_from(("host", "zone"))),
            apart_from=apart,
            cpu_ratio=draw(st.sampled_from((1.0, 4.0))),
        ),
    )


@st.composite
def fleets(draw: Any) -> Fleet:
    number = draw(st.integers(1, 5))
    hosts = [
        Host(name=name, address=f"10.9.0.{n}", zone=draw(st.sampled_from("ab")), reserve=0)
        for n, name in enumerate(HOSTS[:number])
    ]
    made = draw(services())
    volumes = {each.name: Volume(name=each.name, size=draw(SIZES)) for each in made}
    return fleet(*made, hosts=hosts, volumes=volumes)


@st.composite
def worlds(draw: Any, declared: Fleet) -> dict[str, Any]:
    """Hosts of many sizes on which some of the fleet lives, changed or not, where it may or may not stand."""
    said = {name: draw(surveys(name)) for name in declared.hosts}
    lives = []
    for each in desired_instances(declared, FACTS):
        host = draw(st.sampled_from(("", *declared.hosts)))
        if host:
            fingerprint = draw(st.sampled_from((each.fingerprint, "1:old")))
            memory = each.memory if fingerprint == each.fingerprint else draw(SIZES)
            lives.append(live(each, host, fingerprint=fingerprint, memory=memory))
    return with_volumes(running(said, *lives))


def with_volumes(said: dict[str, Any]) -> dict[str, Any]:
    """A volume is where the instance is that holds it."""
    return {
        name: replace(
            each,
            volumes=tuple(LiveVolume(name=v, size=MIB, used_by=i.key) for i in each.instances for v in i.volumes),
        )
        for name, each in said.items()
    }


@st.composite
def surveys(draw: Any, name: str) -> Survey:
    claimed = draw(st.integers(0, 300)) * MIB
    return survey(
        name,
        memory=draw(st.integers(100, 3000)) * MIB,
        cpus=draw(st.integers(1, 8)),
        disk_free=draw(st.integers(0, 1000)) * MIB,
        claims=(Claim(kind="memory", owner="other", holder="x-0.1", amount=claimed),),
    )


@st.composite
def cases(draw: Any) -> tuple[Fleet, dict[str, Any]]:
    declared = draw(fleets())
    return declared, draw(worlds(declared))


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What is taken of a host at one moment."""

    memory: Counter[str]
    cpus: Counter[str]


def rollout(declared: Fleet, said: LiveState, found: Placed, order: random.Random) -> Iterator[Used]:
    """Every moment of one possible rollout: services mixed at random, each in waves, nothing surplus taken away."""
    memory: Counter[str] = Counter()
    cpus: Counter[str] = Counter()
    for host in said.values():
        for each in host.instances if isinstance(host, Survey) else ():
            memory[each.host] += each.memory + each.overhead
            cpus[each.host] += each.cpus
    yield Used(memory=memory, cpus=cpus)
    olds = {i.name: i for each in said.values() if isinstance(each, Survey) for i in each.instances}
    waves = {name: list(_waves(declared, name, found, olds)) for name in declared.services}
    open_waves: list[list[Any]] = [list(wave) for wave in waves.values()]
    while any(open_waves):
        steps = order.choice([each for each in open_waves if each])
        for sign, host, taken, cores in steps.pop(0):
            memory[host] += sign * taken
            cpus[host] += sign * cores
        yield Used(memory=memory, cpus=cpus)


def _waves(declared: Fleet, name: str, found: Placed, olds: dict[str, LiveInstance]) -> Iterator[Any]:
    """The moments of one service, each a list of (+1 or -1, host, memory, cpus)."""
    update = declared.services[name].update
    mine = [w for w in desired_instances(declared, FACTS) if w.service == name and w.name in found.hosts]
    todo = [w for w in mine if not _stays(w, olds.get(w.name), found)]
    size = max(1, update.max_parallel.of(declared.services[name].replicas, round_up=True))
    for at in range(0, len(todo), size):
        wave = todo[at : at + size]
        first, then = [], []
        for each in wave:
            old = olds.get(each.name)
            up = (1, found.hosts[each.name], each.memory + each.overhead, each.cpus)
            down = [(-1, old.host, old.memory + old.overhead, old.cpus)] if old else []
            if old and must_stop_first(declared, each, old):
                first += [*down, up]
            else:
                first.append(up)
                then += down
        yield first
        yield then


def _stays(wished: DesiredInstance, old: LiveInstance | None, found: Placed) -> bool:
    return old is not None and old.fingerprint == wished.fingerprint and old.host == found.hosts[wished.name]


@LAW
@given(cases(), st.randoms(use_true_random=False))
def test_no_moment_of_a_rollout_takes_more_than_a_host_has(case: tuple[Fleet, LiveState], order: random.Random) -> None:
    declared, said = case
    found = place(declared, desired_instances(declared, FACTS), said)
    first: Used | None = None
    for used in rollout(declared, said, found, order):
        first = first or Used(memory=Counter(used.memory), cpus=Counter(used.cpus))
        for name, host in said.items():
            assert isinstance(host, Survey)
            # What was too much before the rollout is nobody's fault here; it must not become more.
            assert used.memory[name] <= max(free_memory(declared.hosts[name], host), first.memory[name])
            assert used.cpus[name] <= max(host.cpus * 4, first.cpus[name])


@LAW
@given(cases())
def test_new_volumes_never_take_more_disk_than_there_is(case: tuple[Fleet, LiveState]) -> None:
    declared, said = case
    wished = desired_instances(declared, FACTS)
    found = place(declared, wished, said)
    there = {v.name for each in said.values() if isinstance(each, Survey) for v in each.volumes}
    taken: Counter[str] = Counter()
    for each in wished:
        for name in each.volumes.values():
            if each.name in found.hosts and name not in there:
                taken[found.hosts[each.name]] += declared.volumes[each.service].size
    assert all(taken[name] <= host.disk_free for name, host in said.items() if isinstance(host, Survey))


@LAW
@given(cases())
def test_everyone_is_placed_or_refused_and_nobody_stands_where_they_may_not(case: tuple[Fleet, LiveState]) -> None:
    declared, said = case
    wished = desired_instances(declared, FACTS)
    found = place(declared, wished, said)
    assert sorted([*found.hosts, *found.unplaced, *found.unknown]) == sorted(w.name for w in wished)
    assert {r.instance.rpartition("-")[0] for r in found.shortfalls} == {n.rpartition("-")[0] for n in found.unplaced}
    for each in wished:
        host = found.hosts.get(each.name)
        if host and declared.services[each.service].placement.hosts and each.name not in found.held_reasons:
            assert host in HOSTS[:3]


@LAW
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_instances_hosts_and_services_never_matters(
    case: tuple[Fleet, dict[str, Any]], order: random.Random
) -> None:
    declared, said = case
    wished = list(desired_instances(declared, FACTS))
    before = place(declared, wished, said)
    order.shuffle(wished)
    turned = replace(
        declared,
        hosts=dict(reversed(list(declared.hosts.items()))),
        services=dict(reversed(list(declared.services.items()))),
    )
    mixed = {name: replace(each, instances=tuple(reversed(each.instances))) for name, each in reversed(said.items())}
    assert place(turned, wished, mixed) == before


def settled(declared: Fleet, said: dict[str, Any], found: Placed) -> dict[str, Any]:
    """The world once everything placed runs where it was placed, and nothing else."""
    empty = {name: replace(each, instances=(), volumes=()) for name, each in said.items()}
    lives = (
        live(each, found.hosts[each.name]) for each in desired_instances(declared, FACTS) if each.name in found.hosts
    )
    return with_volumes(running(empty, *lives))


@LAW
@given(cases())
def test_what_is_placed_stays_when_placed_again_and_when_a_host_is_added(case: tuple[Fleet, dict[str, Any]]) -> None:
    declared, said = case
    found = place(declared, desired_instances(declared, FACTS), said)
    after = settled(declared, said, found)
    assert found.hosts.items() <= place(declared, desired_instances(declared, FACTS), after).hosts.items()
    added = Host(name="hv1a", address="10.9.0.99", zone="c")
    larger = replace(declared, hosts={**declared.hosts, "hv1a": added})
    again = place(larger, desired_instances(larger, FACTS), {**after, "hv1a": survey("hv1a", memory=1 << 40, cpus=512)})
    assert found.hosts.items() <= again.hosts.items()


@LAW
@given(cases(), st.sets(st.sampled_from(HOSTS)))
def test_nothing_is_placed_that_a_silent_host_may_have(case: tuple[Fleet, dict[str, Any]], silent: set[str]) -> None:
    declared, said = case
    heard = {name: each for name, each in said.items() if name not in silent}
    found = place(declared, desired_instances(declared, FACTS), heard)
    seen = {i.name for each in heard.values() for i in each.instances}
    if len(heard) < len(said):
        assert set(found.hosts) <= seen
    assert not set(found.hosts.values()) & silent
