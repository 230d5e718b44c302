"""Any fleet, any change of it, anything that may have happened to its hosts: what the laws are held against."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.plan import builders
from tests.plan.builders import fleet, host, plan, service
from tests.plan.simulator import Simulator, simulate
from unictl.fleet.model import MIB, Fleet, Order, Port, Service, Update
from unictl.fleet.quantities import Share
from unictl.fleet.references import canonical_text, parse_text
from unictl.plan.model.plan import Plan

NAMES = ("alpha", "beta", "gamma", "delta")
LOOSE: dict[str, Any] = {"allow_destroy": 99, "retry": True}
"""No budget stops a law, and what failed is tried again."""


@dataclass(frozen=True)
class Story:
    """A fleet, what it becomes, and a seed for everything else."""

    before: Fleet
    after: Fleet
    seed: int

    @property
    def random(self) -> Random:
        return Random(self.seed)


@st.composite
def updates(draw: st.DrawFn) -> Update:
    return Update(
        max_parallel=draw(st.sampled_from([Share(number=1), Share(number=2), Share(number=50, percent=True)])),
        canary=draw(st.sampled_from([Share(number=0), Share(number=0), Share(number=1)])),
        order=draw(st.sampled_from([Order.AUTO, Order.AUTO, Order.AUTO, Order.STOP_FIRST])),
        auto_revert=draw(st.sampled_from([True, True, True, False])),
    )


@st.composite
def services(draw: st.DrawFn, name: str, earlier: tuple[str, ...]) -> Service:
    with_ports = draw(st.booleans()) or draw(st.booleans())
    needs = tuple(draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2))) if earlier else ()
    args = [f"--to=${{service.{need}.http}}" for need in needs if draw(st.booleans())]
    volumes = {"data": f"data-of-{name}"} if draw(st.sampled_from([False, False, True])) else {}
    return service(
        name,
        *args,
        f"--v={draw(st.integers(1, 2))}",
        replicas=draw(st.integers(0, 2) if volumes else st.integers(0, 4)),
        needs=needs,
        volumes=volumes,
        ports=(Port(name="http", number=8080),) if with_ports or draw(st.booleans()) else (),
        health=builders.HTTP if with_ports else (),
        memory=draw(st.sampled_from([64, 128])) * MIB,
        update=draw(updates()),
        image=draw(st.sampled_from(["app", "other"])),
        protect=draw(st.sampled_from([False] * 7 + [True])),
        kind="service",
    )


@st.composite
def fleets(draw: st.DrawFn, hosts: int) -> Fleet:
    found: list[Service] = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1)):
        earlier = tuple(each.name for each in found if each.ports)
        found.append(draw(services(name, earlier)))
    machines = [host(f"hv{n}", ingress=draw(st.sampled_from([True, True, False]))) for n in range(1, hosts + 1)]
    return fleet(*found, hosts=machines)


@st.composite
def stories(draw: st.DrawFn, *, hosts: int = 3, protect: bool = False) -> Story:
    count = draw(st.integers(1, hosts))
    before, after = draw(fleets(count)), draw(fleets(count))
    if draw(st.booleans()):
        kept = {name: draw(st.sampled_from([each, each, _touched(each)])) for name, each in before.services.items()}
        after = replace(before, services=kept)
    if draw(st.sampled_from([False, False, True])):
        after = _renamed(after, draw(st.sampled_from(sorted(after.services))))
    elif draw(st.booleans()):
        after = _handed_on(before, after)
    if draw(st.sampled_from([False, False, False, True])) and count > 1:
        drained = replace(after.hosts["hv1"], drain=True)
        after = replace(after, hosts={**after.hosts, "hv1": drained})
    if not protect:
        before, after = _bare(before), _bare(after)
    return Story(before=before, after=after, seed=draw(st.integers(0, 1 << 30)))


def _renamed(after: Fleet, name: str) -> Fleet:
    """The fleet with one service under another name; who was told its endpoint is told the new one."""
    others = {n: _redirected(each, name) for n, each in after.services.items() if n != name}
    new = replace(after.services[name], name="omega", was=name)
    return replace(after, services={**others, "omega": new})


def _redirected(each: Service, name: str) -> Service:
    needs = tuple("omega" if need == name else need for need in each.needs)
    args = tuple(parse_text(canonical_text(text).replace(f"service.{name}.", "service.omega.")) for text in each.args)
    return replace(each, needs=needs, args=args)


def _handed_on(before: Fleet, after: Fleet) -> Fleet:
    """The fleet in which the volume of a service that is gone belongs to another one."""
    gone = [each for name, each in sorted(before.services.items()) if each.volumes and name not in after.services]
    heirs = [each for _, each in sorted(after.services.items()) if not each.volumes]
    if not gone or not heirs:
        return after
    heir = replace(heirs[0], volumes=gone[0].volumes, replicas=gone[0].replicas)
    volumes = {**after.volumes, **{v: before.volumes[v] for v in gone[0].volumes.values()}}
    return replace(after, volumes=volumes, services={**after.services, heir.name: heir})


def _touched(each: Service) -> Service:
    return replace(each, args=(("--touched",),), replicas=max(0, each.replicas))


def _bare(one: Fleet) -> Fleet:
    return replace(one, services={name: replace(each, protect=False) for name, each in one.services.items()})


def applied(one: Fleet, seed: int = 0) -> Simulator:
    """A world in which ``one`` was applied to empty hosts."""
    sim = simulate(builders.empty(one))
    made = plan(one, sim.world(), **LOOSE)
    assert made.can_apply, made.refusals
    assert sim.run(made, random=Random(seed))
    return sim


def settled(one: Fleet, sim: Simulator, *, most: int = 4) -> Plan:
    """The plan when nothing more is to be done; an assertion where that is not reached in a few applies."""
    for _ in range(most):
        made = plan(one, sim.world(), **LOOSE)
        if not made.has_changes or not made.can_apply:
            return made
        sim.run(made, random=Random(7))
    raise AssertionError(f"still to do: {[step.id for step in plan(one, sim.world(), **LOOSE).steps]}")
