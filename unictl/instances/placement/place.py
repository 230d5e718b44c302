"""Places desired instances on hosts: deterministic, keeping what can stay, within capacity. Pure.

Instances that stay come first and cost nothing; then those that are replaced on their host; then those that are
free
to go anywhere: the services with the fewest feasible hosts, with anti-affinity, and with the largest instances
first,
since they are hardest to place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from unictl.fleet.model import Fleet, Service
from unictl.instances.desired.instance import Wished
from unictl.instances.observed.host_state import World
from unictl.instances.placement.capacity import Need, Room, rooms, volume_sizes
from unictl.instances.placement.constraints import Anchor, Anchors, anchors, stops_first
from unictl.instances.placement.explain import Refusal, nearest, refusals
from unictl.instances.placement.feasibility import Ground, Grounds
from unictl.instances.placement.host_pool import Board
from unictl.instances.placement.port_conflicts import ingress_refusals
from unictl.instances.placement.rebalance import even


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """``hosts``: instance -> host, of all that have one; who lacks one is in ``unplaced`` or in ``unknown``.

    ``refusals`` explain the first unplaced instance of each service, by host and dimension, and ports that an ingress
    cannot have; ``nearest`` says of those instances what would have to change at least. ``held``: instances that stay
    where they should not because a volume is there, with why. ``unknown`` are instances that no host shows while a
    host is silent: they may be there, so they are neither placed nor refused. ``evened``: instances that could
    stay, and move since that was asked for. ``left``: what every host that
    answered has left at the worst moment of the rollout.
    """

    hosts: Mapping[str, str]
    refusals: tuple[Refusal, ...] = ()
    unplaced: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    nearest: Mapping[str, str] = field(default_factory=dict)
    evened: frozenset[str] = frozenset()
    left: Mapping[str, Room] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One wished instance with what ties it down."""

    wished: Wished
    service: Service
    ground: Ground
    anchor: Anchor

    @property
    def barred(self) -> bool:
        """Whether it is bound to a host where its service may not stand."""
        return bool(self.anchor.volume) and self.anchor.host not in self.ground.members


def place(
    fleet: Fleet,
    wished: Iterable[Wished],
    world: World,
    *,
    endpoints: Mapping[str, int] | None = None,
    replacing: Iterable[str] = (),
    rebalance: bool = False,
) -> Placement:
    """Where every instance goes; the order of ``wished`` never matters.

    ``replacing`` names instances or services that get a new generation although nothing of them changed: they need
    room beside the old. With ``endpoints``, ports of an ingress that others hold are refused too. ``rebalance`` moves
    what may move until every service is spread as it asks for; else a new host moves nothing.
    ValueError where a service's selector cannot be read, KeyError where it names a volume that is not declared.
    """
    run = _Run(
        board=Board(fleet=fleet, rooms=rooms(fleet, world), apart=_apart(fleet)),
        grounds=Grounds(fleet=fleet, world=world),
        anchors=anchors(fleet, world, frozenset(replacing)),
    )
    run.place(sorted(wished, key=lambda w: (w.service, w.ordinal)))
    evened = run.even() if rebalance else frozenset()
    return Placement(
        hosts=dict(sorted(run.hosts.items())),
        refusals=(*run.refusals, *ingress_refusals(fleet, world, endpoints or {})),
        unplaced=tuple(sorted(run.unplaced)),
        unknown=tuple(sorted(run.unknown)),
        held=run.held,
        nearest=run.nearest,
        evened=evened,
        left=run.board.rooms,
    )


def _apart(fleet: Fleet) -> Mapping[str, frozenset[str]]:
    """Service -> those it must not meet; apart is apart both ways, and a service may be apart from itself."""
    pairs = {(name, other) for name, service in fleet.services.items() for other in service.placement.apart_from}
    found: dict[str, set[str]] = {}
    for one, other in pairs | {(other, one) for one, other in pairs}:
        found.setdefault(one, set()).add(other)
    return {name: frozenset(others) for name, others in found.items()}


@dataclass(slots=True, kw_only=True)
class _Run:
    """One placement in the making."""

    board: Board
    grounds: Grounds
    anchors: Anchors
    hosts: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    nearest: dict[str, str] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    kept: dict[str, list[_Case]] = field(default_factory=dict)
    unplaced: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)

    def place(self, wished: Sequence[Wished]) -> None:
        """All of them, in the order that the module's first lines give."""
        cases = [self._case(each) for each in wished]
        self.unknown.extend(case.wished.name for case in cases if case.anchor.unknown)
        known = [case for case in cases if not case.anchor.unknown]
        known.sort(key=lambda case: (not case.anchor.same, not case.anchor.volume))
        self._free([case for case in known if not self._tied(case)])

    def _case(self, wished: Wished) -> _Case:
        service = self.board.fleet.services[wished.service]
        ground = self.grounds.of(service)
        return _Case(wished=wished, service=service, ground=ground, anchor=self.anchors.of(wished, ground))

    def _tied(self, case: _Case) -> bool:
        """Put it where it is tied to; False where it may go elsewhere, and has to."""
        anchor = case.anchor
        if anchor.volume or anchor.trouble:
            self._bound(case)
            return True
        if not anchor.host or self.board.meets(case.service.name, anchor.host):
            return False
        if anchor.same and not anchor.missing:
            self._put(case, anchor.host, None)
            self.kept.setdefault(case.service.name, []).append(case)
            return True
        need = self._need(case, anchor.host)
        if self.board.takes(case.service, anchor.host, need):
            self._replace(case, need)
            return True
        return False

    def _bound(self, case: _Case) -> None:
        """It goes where its volume is, or nowhere."""
        anchor = case.anchor
        if case.barred and anchor.old is not None:
            self.held[case.wished.name] = self._why_held(case)
        if anchor.old is not None and anchor.same and not anchor.missing:
            self._put(case, anchor.host, None)
            return
        need = self._need(case, anchor.host)
        if anchor.trouble or anchor.host not in self.board.rooms or (case.barred and anchor.old is None):
            self._refuse([case], need)
        elif self.board.takes(case.service, anchor.host, need):
            self._replace(case, need)
        else:
            self._refuse([case], need)

    def _why_held(self, case: _Case) -> str:
        bar = case.ground.barred.get(case.anchor.host)
        why = bar.text if bar else "is not among placement.hosts"
        volume = f"volume {case.anchor.volume} is there, and volumes never move by themselves"
        return f"{case.anchor.host} {why}, but {volume}"

    def _need(self, case: _Case, host: str) -> Need:
        old = case.anchor.old
        stops = old is not None and stops_first(self.board.fleet, case.wished, old)
        return self.board.need(case.wished, host, old, self._new_volumes(case), stops=stops)

    def _new_volumes(self, case: _Case) -> int:
        if not case.anchor.missing:
            return 0
        sizes = volume_sizes(self.board.fleet, case.wished)
        return sum(size for name, size in sizes if name in case.anchor.missing)

    def _replace(self, case: _Case, need: Need) -> None:
        """It is launched where it is tied to; what is doubled beside the old is remembered for its wave."""
        old, wished = case.anchor.old, case.wished
        self._put(case, case.anchor.host, need)
        if old is not None and not stops_first(self.board.fleet, wished, old):
            wave = self.board.wave(wished, case.anchor.host)
            wave.add(min(old.memory + old.overhead, wished.memory + wished.overhead), min(old.cpus, wished.cpus))

    def _put(self, case: _Case, host: str, need: Need | None) -> None:
        self.board.put(case.service.name, host, need)
        self.hosts[case.wished.name] = host

    def even(self) -> frozenset[str]:
        """Who moves so that every service is spread evenly: of those that hold their place, and have no volume."""
        moved: dict[str, str] = {}
        for _, cases in sorted(self.kept.items()):
            movable: dict[str, list[Wished]] = {}
            for case in cases:
                if case.anchor.old and not case.anchor.old.protect:
                    movable.setdefault(case.anchor.host, []).append(case.wished)
            moves = even(self.board, cases[0].service, cases[0].ground, movable)
            moved |= {wished.name: host for wished, host in moves}
        self.hosts |= moved
        return frozenset(moved)

    def _free(self, cases: Iterable[_Case]) -> None:
        """Those that nothing ties down, a service at a time."""
        services: dict[str, list[_Case]] = {}
        for case in cases:
            services.setdefault(case.service.name, []).append(case)
        for name in sorted(services, key=lambda name: _urgency(services[name][0], self.board.apart)):
            self._spread(services[name])

    def _spread(self, cases: Sequence[_Case]) -> None:
        spread = self.board.spread(cases[0].service, cases[0].ground)
        left: list[_Case] = []
        for case in cases:
            host = spread.take(self._need(case, ""))
            if host:
                self.hosts[case.wished.name] = host
            else:
                left.append(case)
        spread.done()
        if left:
            self._refuse(left, self._need(left[0], ""))

    def _refuse(self, cases: Sequence[_Case], need: Need) -> None:
        """They have no host; the first of a service is explained, since the others would say the same."""
        self.unplaced.extend(case.wished.name for case in cases)
        first = cases[0]
        if first.service.name in self.explained and not first.anchor.volume:
            return
        self.explained.add(first.service.name)
        self.refusals.extend(refusals(self.board, first.wished, first.ground, first.anchor, need))
        placed = sum(self.board.where.get(first.service.name, {}).values())
        text = nearest(self.board, first.wished, first.ground, need, placed)
        if text and not first.anchor.volume:
            self.nearest[first.wished.name] = text


def _urgency(case: _Case, apart: Mapping[str, frozenset[str]]) -> tuple[int, bool, int, int, str]:
    """Who chooses first. Of services that must not meet, the smaller: a large one would spread over every host."""
    name = case.service.name
    replicas = case.service.replicas if name in apart else 0
    memory = case.wished.memory + case.wished.overhead
    return len(case.ground.allowed), name not in apart, replicas, -memory, name
