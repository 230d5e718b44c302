"""Predicts what happens when hosts are lost, or services removed or scaled, with the planner's functions. Pure.

A prediction says which instances are healthy now, immediately after, and after an apply; what moves, what finds no
host, and what happens to the volumes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Fleet
from unictl.fleet.names import closest, listed
from unictl.fleet.references import references
from unictl.instances.desired.instance import wish
from unictl.instances.desired.spec import FleetFacts, texts
from unictl.instances.observed.host_state import LiveInstance, Survey, World
from unictl.instances.placement.explain import Refusal
from unictl.plan.context.context import Situation, look
from unictl.plan.context.scope import scope
from unictl.plan.guards import budget, hosts
from unictl.plan.model.change import Action, Change
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.revision import Revision
from unictl.plan.reconcile.classify import serving
from unictl.plan.reconcile.reconcile import Difference, Work, difference

_THERE = (Action.KEEP, Action.CREATE, Action.REPLACE, Action.MOVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is supposed: hosts that are lost, services that are gone, services with another number of replicas."""

    lose: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    scale: Mapping[str, int] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """``hv1 and hv2 are lost, cache is gone, api has 20 replicas``."""
        lost = [f"{listed(self.lose)} {'is' if len(self.lose) == 1 else 'are'} lost"] if self.lose else []
        gone = [f"{listed(self.without)} {'is' if len(self.without) == 1 else 'are'} gone"] if self.without else []
        scaled = [f"{name} has {n} replica{'' if n == 1 else 's'}" for name, n in sorted(self.scale.items())]
        return ", ".join([*lost, *gone, *scaled])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A service before, at once, and once the change is applied: healthy instances, of ``before`` and ``wanted``.

    ``held``: instances that stay down until somebody decides; ``lacks``: services that it needs or was told of, of
    which none is healthy at once. Of a ``job`` healthy is done: applied, it runs again where it was lost.
    """

    service: str
    before: int
    now: int
    at_once: int
    applied: int
    wanted: int
    held: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    job: bool = False

    @property
    def touched(self) -> bool:
        """Whether anything becomes of it at all."""
        return not (self.now == self.at_once == self.applied and self.before == self.wanted) or bool(self.lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An instance that would stand elsewhere."""

    instance: str
    service: str
    host: str
    to_host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a volume: ``lost`` (with its host), ``begins-empty``, ``held`` (its user stays down),
    ``unused`` (nobody has it any more, and it stays)."""

    volume: str
    host: str
    size: int
    what: str
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What would be. ``unplaced``: why instances find no host, ``nearest``: what would have to change for them.

    ``refused`` is what an apply of it would be refused for; ``ingresses`` are the hosts that still publish, of those
    that do now. ``pending``: instances that differ from the fleet file anyway.
    """

    question: Question
    services: tuple[Standing, ...]
    moves: tuple[Move, ...] = ()
    created: tuple[str, ...] = ()
    destroyed: tuple[str, ...] = ()
    unplaced: tuple[str, ...] = ()
    shortfalls: tuple[Refusal, ...] = ()
    nearest: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Fate, ...] = ()
    refused: tuple[Finding, ...] = ()
    ingresses: tuple[str, ...] = ()
    had_ingresses: tuple[str, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    pending: int = 0
    hosts: Mapping[str, str] = field(default_factory=dict)


def checked(fleet: Fleet, question: Question) -> Question:
    """The question as it stands; ValueError with a sentence where it names what the fleet does not have."""
    known = (("host", question.lose, fleet.hosts), ("service", (*question.without, *question.scale), fleet.services))
    for what, names, there in known:
        for name in names:
            if name not in there:
                near = closest(name, there)
                meant = (
                    f", did you mean {near}?"
                    if near
                    else f": there {'are' if len(there) > 1 else 'is'} {listed(there)}"
                    if there
                    else ""
                )
                raise ValueError(f"there is no {what} {name!r}{meant}")
    return question


def supposed(fleet: Fleet, question: Question) -> Fleet:
    """The fleet as the question has it."""
    hosts = {name: replace(host, lost=host.lost or name in question.lose) for name, host in fleet.hosts.items()}
    services = {
        name: replace(each, replicas=question.scale.get(name, each.replicas))
        for name, each in fleet.services.items()
        if name not in question.without
    }
    return replace(fleet, hosts=hosts, services=services)


def whatif(fleet: Fleet, facts: FleetFacts, endpoints: Mapping[str, int], world: World, question: Question) -> Answer:
    """What would become of ``world`` under ``question``; ValueError where it names what is not there."""
    after = supposed(fleet, checked(fleet, question))
    left = {name: said for name, said in world.items() if name not in question.lose}
    s = look(after, facts, endpoints, left, wished=wish(after, facts), options=PlanOptions())
    found = difference(s, scope(s), locating=False)
    return _Answering(fleet, world, question, s, found).answer()


class _Answering:
    """One answer in the making."""

    def __init__(self, fleet: Fleet, world: World, question: Question, s: Situation, found: Difference):
        self.fleet, self.world, self.question, self.s, self.found = fleet, world, question, s, found
        self.before: defaultdict[str, list[LiveInstance]] = defaultdict(list)
        for said in world.values():
            for live in said.instances if isinstance(said, Survey) else ():
                self.before[live.name].append(live)
        self.rows = [row for work in found.works for row in (work.change, *work.twins)]
        self.places = {w.change.subject: w.change.to_host or w.change.host for w in found.works if _there(w.change)}

    def answer(self) -> Answer:
        works, placement = self.found.works, self.found.placement
        standings = tuple(self._standings())
        names = {work.change.subject for work in works if work.wished}
        return Answer(
            question=self.question,
            services=standings,
            moves=tuple(self._moves(works)),
            created=tuple(c.subject for c in self.rows if c.action is Action.CREATE and c.subject not in self.before),
            destroyed=budget.losses(self.rows),
            unplaced=tuple(name for name in placement.unplaced if name in names),
            shortfalls=placement.refusals,
            nearest=placement.nearest,
            volumes=tuple(self._fates()),
            refused=tuple(self._refused()),
            ingresses=tuple(self._ingresses(self.s.fleet)),
            had_ingresses=tuple(self._ingresses(self.fleet)),
            silent=self.s.silent,
            pending=sum(c.action is Action.REPLACE for c in self.rows),
            hosts=dict(sorted(self.places.items())),
        )

    def _standings(self) -> Iterator[Standing]:
        now, at_once = Counter[str](), Counter[str]()
        wished = {w.name for w in self.s.wished}
        for lives in self.before.values():
            for live in lives[:1] if len(lives) == 1 else sorted(lives, key=lambda each: not serving(each))[:1]:
                now[live.service] += self._healthy(live)
                stays = live.host not in self.question.lose and live.name in wished
                at_once[live.service] += stays and self._healthy(live)
        applied = Counter(work.service for work in self.found.works if work.wished and _there(work.change))
        held: defaultdict[str, list[str]] = defaultdict(list)
        for work in self.found.works:
            if work.wished and not _there(work.change):
                held[work.service].append(work.change.subject)
        for name, service in sorted(self.fleet.services.items()):
            after = self.s.fleet.services.get(name)
            yield Standing(
                service=name,
                before=service.replicas,
                now=now[name],
                at_once=at_once[name],
                applied=applied[name],
                wanted=after.replicas if after else 0,
                held=tuple(held[name]),
                lacks=tuple(other for other in self._needs(name) if now[other] and not at_once[other] and after),
                job=service.kind == "job",
            )

    def _healthy(self, live: LiveInstance) -> bool:
        """Whether it serves; a job that ended well has done its work."""
        service = self.fleet.services.get(live.service)
        done = service is not None and (service.kind == "job" or service.activation is not None)
        return serving(live) or (done and live.state == "ended" and (live.end or {}).get("verdict") == "clean")

    def _needs(self, name: str) -> tuple[str, ...]:
        """The services that one needs, or was told the endpoint of; a job that is done is not needed any more."""
        service, services = self.fleet.services[name], self.fleet.services
        told = {r.name.partition(".")[0] for t in texts(service) for r in references(t) if r.kind == "service"}
        there = (other for other in {*service.needs, *told} - {name} if other in services)
        return tuple(sorted(other for other in there if services[other].kind != "job"))

    def _moves(self, works: tuple[Work, ...]) -> Iterator[Move]:
        for work in works:
            old = [live.host for live in self.before.get(work.change.subject, ())]
            to = self.places.get(work.change.subject)
            if work.wished and old and to and to not in old:
                yield Move(instance=work.change.subject, service=work.service, host=old[0], to_host=to)

    def _fates(self) -> Iterator[Fate]:
        wanted = {name: work for work in self.found.works if work.wished for name in work.wished.volumes.values()}
        for host, said in sorted(self.world.items()):
            for volume in sorted(said.volumes, key=lambda v: v.name) if isinstance(said, Survey) else ():
                work = wanted.get(volume.name)
                user = work.change.subject if work else volume.used_by.rpartition(".")[0]
                if host in self.question.lose:
                    what = "lost" if work is None else "begins-empty" if _there(work.change) else "held"
                elif work is None:
                    what = "unused"
                else:
                    continue
                yield Fate(volume=volume.name, host=host, size=volume.size, what=what, instance=user)

    def _refused(self) -> Iterator[Finding]:
        yield from hosts.protection(self.s, self.rows)
        yield from budget.judged(self.s, self.rows, Revision(clean=True), whole=True)

    def _ingresses(self, fleet: Fleet) -> Iterator[str]:
        if not any(service.publish for service in fleet.services.values()):
            return
        for name, host in sorted(fleet.hosts.items()):
            if host.ingress and not host.lost and isinstance(self.world.get(name), Survey):
                yield name


def _there(change: Change) -> bool:
    """Whether the instance is there and runs once the change is applied."""
    held = change.action is Action.HELD and change.old is not None and serving(change.old)
    return change.action in _THERE or held
