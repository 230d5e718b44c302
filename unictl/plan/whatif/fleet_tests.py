"""Checks the assertions under `tests:` against the state that the fleet file implies; no host is asked. Pure.

Placement, reconciliation and what-if answer, the functions that make plans; a failure points at the place in the
file.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path
from unictl.fleet.failure_scenarios import Way, ways
from unictl.fleet.model import Expectation, Fleet, Loss, Service
from unictl.fleet.names import listed
from unictl.fleet.quantities import Share
from unictl.fleet.selection import parse
from unictl.instances.desired.instance import wish
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.observed.host_state import Survey, World
from unictl.instances.placement.place import Placement
from unictl.plan.context.context import look
from unictl.plan.context.scope import scope
from unictl.plan.guards import budget, hosts
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.revision import Revision
from unictl.plan.reconcile.reconcile import difference
from unictl.plan.whatif.assumed_world import assumed
from unictl.plan.whatif.whatif import Question, supposed, whatif

_AS_IT_IS = Way(words="", hosts=())
_ANY_HOST = Loss(any="host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One test: whether it holds, and in how many ways it was tried."""

    name: str
    failures: tuple[Finding, ...]
    tried: int

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.failures


def judge(fleet: Fleet, facts: FleetFacts) -> tuple[Judged, ...]:
    """All tests of a fleet, by name."""
    return tuple(_judged(fleet, facts, fleet.tests[name]) for name in sorted(fleet.tests))


def _judged(fleet: Fleet, facts: FleetFacts, test: Expectation) -> Judged:
    case = _case(fleet, facts, test)
    found = (*_healthy(case), *_fits(case), *_apart(case), *_destroys(case))
    return Judged(name=test.name, failures=found, tried=len(case.losses))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A test with the world that it supposes, before anything is lost."""

    test: Expectation
    fleet: Fleet
    facts: FleetFacts
    world: World
    placement: Placement
    losses: tuple[Way, ...]

    @property
    def path(self) -> Path:
        return ("tests", self.test.name)

    def ways(self, loss: Loss) -> tuple[Way, ...]:
        """The ways to lose hosts that are there."""
        return tuple(ways(loss, {name: host for name, host in self.fleet.hosts.items() if not host.lost}))


def _case(fleet: Fleet, facts: FleetFacts, test: Expectation) -> _Case:
    there = supposed(fleet, Question(without=test.without, scale=test.scale))
    world, placement = assumed(there, wish(there, facts))
    case = _Case(test=test, fleet=there, facts=facts, world=world, placement=placement, losses=(_AS_IT_IS,))
    return replace(case, losses=case.ways(test.lose)) if test.lose else case


def _healthy(case: _Case) -> Iterator[Finding]:
    for selector, share in case.test.healthy.items():
        selection = parse(selector)
        for name, service in sorted(case.fleet.services.items()):
            # A job is done, not healthy; who means it names it.
            if (
                selection.service(name, service.labels)
                and service.replicas
                and (service.kind != "job" or name == selector)
            ):
                yield from _enough(case, selector, service, share)


def _enough(case: _Case, selector: str, service: Service, share: Share) -> Iterator[Finding]:
    least = share.of(service.replicas, up=True)
    hosts = Counter(
        live.host for said in _answered(case.world) for live in said.instances if live.service == service.name
    )
    there = sum(hosts.values())
    left = [(way, there - sum(hosts[host] for host in way.hosts)) for way in case.losses]
    short = [(way, count) for way, count in left if count < least]
    if short:
        way, count = min(short, key=lambda each: each[1])
        text = f"{service.name} has {count} of {service.replicas} healthy{_when(way)}, and {least} {_are(least)} wanted"
        yield Finding(
            path=(*case.path, "healthy", selector),
            code="too-few-healthy",
            text=text,
            detail=_others([each for each, _ in short if each is not way]),
            hint=_more(case, service, there),
        )


def _more(case: _Case, service: Service, there: int) -> str:
    if there < service.replicas:
        unplaced = [r.text for r in case.placement.refusals if r.instance.rpartition("-")[0] == service.name]
        return f"{service.replicas - there} of them find no host: {unplaced[0]}" if unplaced else ""
    if service.replicas == 1:
        return f"give {service.name} another replica, on a host of its own"
    by = case.test.lose.any if case.test.lose and case.test.lose.any else "host"
    spread = f", or `spread: {by}`" if service.placement.spread != by else ""
    return f"give {service.name} more replicas{spread}, or more hosts to stand on"


def _fits(case: _Case) -> Iterator[Finding]:
    failed: list[tuple[Way, str]] = []
    for way in case.losses if case.test.fits else ():
        unplaced, why = _unplaced(case, way)
        if unplaced:
            failed.append(
                (way, f"{listed(unplaced, most=4)} find{'s' if len(unplaced) == 1 else ''} no host{_when(way)}: {why}")
            )
    if failed:
        way, text = failed[0]
        detail = _others([each for each, _ in failed[1:]])
        yield Finding(path=(*case.path, "fits"), code="does-not-fit", text=text, detail=detail)


def _unplaced(case: _Case, way: Way) -> tuple[tuple[str, ...], str]:
    placement = case.placement
    if not way.hosts:
        return placement.unplaced, placement.refusals[0].text if placement.refusals else ""
    answer = whatif(case.fleet, case.facts, {}, case.world, Question(lose=way.hosts))
    return answer.unplaced, answer.shortfalls[0].text if answer.shortfalls else ""


def _apart(case: _Case) -> Iterator[Finding]:
    if not case.test.apart:
        return
    tried = (_AS_IT_IS, *(case.losses if case.test.lose else case.ways(_ANY_HOST)))
    failed = [(way, met) for way in tried if (met := _met(case, way))]
    if failed:
        way, (one, other, host) = failed[0]
        names = (one.rpartition("-")[0], other.rpartition("-")[0])
        yield Finding(
            path=(*case.path, "apart", case.test.apart.index(names[1])),
            code="not-apart",
            text=f"{one} and {other} share {host}{_when(way)}",
            detail=_others([each for each, _ in failed[1:]]),
            hint=f"`placement: {{apart_from: [{names[1]}]}}` at {names[0]} keeps them apart",
        )


def _met(case: _Case, way: Way) -> tuple[str, str, str] | None:
    """Two instances of services that are to be apart, on one host."""
    places = case.placement.hosts
    if way.hosts:
        places = whatif(case.fleet, case.facts, {}, case.world, Question(lose=way.hosts)).hosts
    there: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, host in sorted(places.items()):
        service = name.rpartition("-")[0]
        if service in case.test.apart:
            there[host].setdefault(service, name)
    shared = ((host, found) for host, found in sorted(there.items()) if len(found) > 1)
    for host, found in shared:
        one, other = sorted(found, key=case.test.apart.index)[:2]
        return found[one], found[other], host
    return None


def _destroys(case: _Case) -> Iterator[Finding]:
    for index, name in enumerate(case.test.no_plan_destroys):
        service = case.fleet.services.get(name)
        path = (*case.path, "no_plan_destroys", index)
        found = next(
            (what for what, after, options in _edits(case.fleet, name) if _goes(case, name, after, options)), ""
        )
        if service is None or found:
            text = f"a plan in which {found or f'{name} is gone'} destroys {name}, and nothing bars it"
            yield Finding(path=path, code="may-be-destroyed", text=text, hint=f"give {name} `protect: true`")
        elif empty := [v for v in service.volumes.values() if case.fleet.volumes[v].accept_loss]:
            text = f"when its host is declared lost, a plan begins {name} anew, with {listed(empty)} empty"
            yield Finding(path=path, code="may-begin-empty", text=text, hint=f"take `accept_loss` off {listed(empty)}")


def _edits(fleet: Fleet, name: str) -> Iterator[tuple[str, Fleet, PlanOptions]]:
    """Whatever may be asked for that takes instances of a service away, in words, and as a fleet."""
    service = fleet.services.get(name)
    if service is None:
        return
    bare = PlanOptions()
    yield f"{name} is taken out of the fleet file", supposed(fleet, Question(without=(name,))), bare
    for count in sorted({max(0, service.replicas - 1), 0}, reverse=True):
        if count < service.replicas:
            yield f"{name} is scaled to {count}", supposed(fleet, Question(scale={name: count})), bare
    for host in sorted(fleet.hosts):
        lost = replace(fleet, hosts={**fleet.hosts, host: replace(fleet.hosts[host], drain=True)})
        yield f"{host} is drained", lost, bare
    yield "the whole fleet is destroyed", fleet, PlanOptions(destroy=True)


def _goes(case: _Case, name: str, after: Fleet, options: PlanOptions) -> bool:
    """Whether the plan takes an instance of ``name`` away for good, and is not refused."""
    s = look(after, case.facts, {}, case.world, wished=wish(after, case.facts), options=options)
    rows = [row for work in difference(s, scope(s), locating=False).works for row in (work.change, *work.twins)]
    if not any(each.rpartition("-")[0] == name for each in budget.losses(rows)):
        return False
    against = (*hosts.protection(s, rows), *budget.judged(s, rows, Revision(clean=True), whole=True))
    return not any(each.severity is Severity.ERROR for each in against)


def _answered(world: World) -> Iterable[Survey]:
    return (said for said in world.values() if isinstance(said, Survey))


def _when(way: Way) -> str:
    several = " and " in way.words or ", " in way.words
    return f" when {way.words} {'are' if several else 'is'} lost" if way.hosts else ""


def _others(rest: list[Way]) -> str:
    """The other ways in which it fails, where there are any."""
    names = [way.words for way in rest if way.words]
    return (
        f"the same holds of {', '.join(names[:6])}{f' and {len(names) - 6} more' if len(names) > 6 else ''}"
        if names
        else ""
    )


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
