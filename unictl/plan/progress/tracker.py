"""Tracks an apply: which steps may start, which are skipped, and when a service is rolled back. Pure.

It knows steps by id and nothing of hosts: the caller reports what started, succeeded and failed, and asks what is
next.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Kind, Step
from unictl.plan.progress.rollback import Rolled, rolled, way_back

_MAKING = frozenset((Kind.STAGE, Kind.VOLUME, Kind.LAUNCH, Kind.PROVE, Kind.JOIN))
"""What a wave fails by: its new generations are not there, or not as they should be. Trouble with taking an old one
down is none of that: the service stops where it is, and the next plan goes on from there."""

Skip = tuple[Step, str]
"""A step that will not start, and the step that is to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Who of a service is what when a walk has ended: ``new`` as planned, ``old`` as before, ``down`` neither.

    ``unknown`` are those on hosts that stopped answering, or were somebody else's meanwhile: ``unseen``.
    ``apart``: services that it needs or is told of, and that are as planned while it is not, or the other way round.
    """

    service: str
    new: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    @property
    def mixed(self) -> bool:
        """Whether it is not one and the same everywhere, or not all there, as far as is known."""
        return bool((self.new and self.old) or self.down or self.unknown)


@dataclass(slots=True)
class Course:
    """One walk. ``steps`` grows by the way back of a service once nothing of that service runs any more."""

    plan: Plan
    steps: dict[str, Step] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    fallen: dict[str, str] = field(default_factory=dict)
    _ready: dict[str, None] = field(default_factory=dict)
    _left: dict[str, int] = field(default_factory=dict)
    _after: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _own: defaultdict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))
    _blind: set[str] = field(default_factory=set)
    _mute: set[str] = field(default_factory=set)
    _running: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self._add(self.plan.steps)
        for step in self.plan.steps:
            self._own[step.service].append(step)

    def ready(self) -> tuple[Step, ...]:
        """What may start now, in the order of the plan. Barriers end by themselves."""
        while barriers := [name for name in self._ready if self.steps[name].kind is Kind.BARRIER]:
            for name in barriers:
                self.begin(name)
                self.end(name)
        return tuple(self.steps[name] for name in self._ready)

    def begin(self, name: str) -> None:
        """A ready step starts."""
        del self._ready[name]
        self.begun.add(name)
        self._running[self._forth(name)] += 1

    def end(self, name: str) -> None:
        """A step ended well."""
        self.over.add(name)
        self.done.add(name)
        self._running[self._forth(name)] -= 1
        for each in self._after[name]:
            self._left[each] -= 1
            if not self._left[each] and each not in self.over:
                self._ready[each] = None

    def fail(self, name: str, *, silent: bool = False) -> tuple[Skip, ...]:
        """A step did not end well; what will not start because of it. ``silent``: its host does not answer, or its
        lease is somebody else's by now: what is there is not known any more."""
        self.over.add(name)
        if silent:
            self._mute.add(self.steps[name].host)
        self._running[self._forth(name)] -= 1
        skips = self._skip_after(name, name)
        step = self.steps[name]
        struck = {each.service for each, _ in skips if each.kind is Kind.LAUNCH}
        # Who was to stop first, and did not leave every ingress, is out of some: it joins them again.
        clears = step.kind is Kind.LEAVE and step.service in struck
        if step.undo or not (step.kind in _MAKING or clears):
            return tuple(skips)
        for service in sorted(struck | {step.service} - {""}):
            skips += self._fall(service, name, silent=silent)
        return tuple(skips)

    def returning(self) -> tuple[tuple[str, str, tuple[Step, ...]], ...]:
        """Services whose way back begins now, the step to blame, and their steps, which are ready from here on."""
        found = []
        for service, cause in list(self.fallen.items()):
            if cause and not self._running[service]:
                self.fallen[service] = ""
                mute = frozenset(self._mute) if self.blind(service) else None
                steps = way_back(self._waves(service), self._ingresses(service), mute=mute)
                self._add(steps)
                found += [(service, cause, steps)] if steps else []
        return tuple(found)

    def blind(self, service: str) -> bool:
        """Whether a service fell by a host of which nothing is known any more: it cannot go all the way back."""
        return service in self._blind

    def left(self) -> tuple[Step, ...]:
        """What has not started and was not skipped: nothing, unless the walk was stopped."""
        waiting = (step for step in self.steps.values() if step.id not in self.over | self.begun)
        return tuple(step for step in waiting if step.kind is not Kind.BARRIER)

    def mixtures(self) -> tuple[Mixture, ...]:
        """How it stands with every service of which a step failed or never began; nothing where all is done."""
        waves = {row["service"]: None for row in self.plan.waves}
        whole = {name: all(wave.whole for wave in self._waves(name)) for name in waves}
        found = [self._mixture(name) for name in waves if not whole[name]]
        return tuple(
            replace(each, apart=tuple(sorted(self._apart(each.service, whole)))) if each.old and not each.new else each
            for each in found
        )

    def _apart(self, service: str, whole: Mapping[str, bool]) -> set[str]:
        """The services that are done, differ from before, and have to do with one that is as before."""
        pairs = {(row["service"], other) for row in self.plan.waves for other in row["with"]}
        other = {two if one == service else one for one, two in pairs if service in (one, two)}
        return {name for name in other if whole.get(name) and self._differs(name)}

    def _differs(self, service: str) -> bool:
        return any(row["differs"] for wave in self._waves(service) for row in wave.row["undo"]["back"])

    def _mixture(self, service: str) -> Mixture:
        own = [change for change in self.plan.changes if change.service == service]
        homes = {change.subject: change.host for change in own}
        new: set[str] = set()
        old: set[str] = set()
        down: set[str] = set()
        for wave in self._waves(service):
            undo = wave.row["undo"]
            made = {key: host for key, host in wave.new().items() if f"back:retire:{key}" not in self.done}
            there = {key.partition(".")[0]: host for key, host in made.items()}
            homes |= there
            new |= there.keys()
            for row in undo["back"]:
                stands = f"back:prove:{row['key']}" in self.done or not wave.retired(row["old"])
                if row["name"] not in there:
                    (down if not stands else old if row["differs"] else new).add(row["name"])
            gone = {s.data["key"].partition(".")[0] for s in wave.steps if s.kind is Kind.RETIRE and s.id in self.begun}
            for name in undo["stays"]:
                if name not in there:
                    (down if name in gone else old).add(name)
        new |= {c.subject for c in own if c.action is Action.KEEP} if self._differs(service) else set()
        unknown = {name for name in new | old | down if homes.get(name) in self._mute}
        return Mixture(
            service=service,
            new=_sorted(new - unknown),
            old=_sorted(old - unknown),
            down=_sorted(down - unknown),
            unknown=_sorted(unknown),
            unseen=tuple(sorted({homes[name] for name in unknown})),
        )

    def _waves(self, service: str) -> list[Rolled]:
        rows = [row for row in self.plan.waves if row["service"] == service]
        return rolled(rows, self._own[service], self.begun, self.done)

    def _ingresses(self, service: str) -> tuple[str, ...]:
        kinds = (Kind.JOIN, Kind.LEAVE)
        return tuple(sorted({step.host for step in self._own[service] if step.kind in kinds}))

    def _fall(self, service: str, cause: str, *, silent: bool) -> list[Skip]:
        """Nothing more of a service is begun."""
        if silent:
            self._blind.add(service)
        if service in self.fallen:
            return []
        self.fallen[service] = cause
        skips: list[Skip] = []
        for step in self._own[service]:
            if step.id not in self.over | self.begun:
                self._ready.pop(step.id, None)
                self.over.add(step.id)
                skips += [(step, cause)] if step.kind is not Kind.BARRIER else []
                skips += self._skip_after(step.id, cause)
        return skips

    def _skip_after(self, failed: str, cause: str) -> list[Skip]:
        skips: list[Skip] = []
        stack = list(self._after[failed])
        while stack:
            name = stack.pop()
            if name in self.over:
                continue
            self.over.add(name)
            stack += self._after[name]
            if self.steps[name].kind is not Kind.BARRIER:
                skips.append((self.steps[name], cause))
        return skips

    def _add(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self.steps[step.id] = step
            self._left[step.id] = len(step.needs)
            for need in step.needs:
                self._after[need].append(step.id)
            if not step.needs:
                self._ready[step.id] = None

    def _forth(self, name: str) -> str:
        """The service that a step of the way forth is of."""
        step = self.steps[name]
        return "" if step.undo else step.service


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (name.rpartition("-")[0], len(name), name)))
