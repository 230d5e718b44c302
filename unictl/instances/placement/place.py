"""Places desired instances on hosts: deterministic, keeping what can stay, within capacity. Pure.

Instances that stay come first and cost nothing; then those that are replaced on their host; then those that are
free to go anywhere: the services with the fewest feasible hosts, with anti-affinity, and with the largest instances
first, since they are hardest to place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from unictl.fleet.model import Fleet, Service
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.observed.host_state import LiveState
from unictl.instances.placement.capacity import HostCapacity, Need, host_capacities, volume_sizes
from unictl.instances.placement.constraints import Constraint, Constraints, build_constraints, must_stop_first
from unictl.instances.placement.explain import explain_shortfalls, smallest_change
from unictl.instances.placement.feasibility import Feasibilities, Feasibility
from unictl.instances.placement.host_pool import HostPool
from unictl.instances.placement.port_conflicts import find_port_conflicts
from unictl.instances.placement.rebalance import rebalance_moves
from unictl.instances.placement.shortfall import Shortfall


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """``hosts``: instance -> host, of all that have one; who lacks one is in ``unplaced`` or in ``unknown``.

    ``shortfalls`` explain the first unplaced instance of each service, by host and dimension, and ports that an ingress
    cannot have; ``smallest_changes`` says of those instances what would have to change at least. ``held_reasons``:
    instances that stay where they should not because a volume is there, with why. ``unknown`` are instances that no
    host shows while a host is silent: they may be there, so they are neither placed nor refused. ``rebalanced``:
    instances that could stay, and move since that was asked for. ``remaining``: what every host that answered has left
    at the worst moment of the rollout.
    """

    hosts: Mapping[str, str]
    shortfalls: tuple[Shortfall, ...] = ()
    unplaced: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    held_reasons: Mapping[str, str] = field(default_factory=dict)
    smallest_changes: Mapping[str, str] = field(default_factory=dict)
    rebalanced: frozenset[str] = frozenset()
    remaining: Mapping[str, HostCapacity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One desired instance with what ties it down."""

    desired: DesiredInstance
    service: Service
    feasibility: Feasibility
    constraint: Constraint

    @property
    def is_excluded(self) -> bool:
        """Whether it is bound to a host where its service may not stand."""
        return bool(self.constraint.volume) and self.constraint.host not in self.feasibility.members


def place(
    fleet: Fleet,
    desired: Iterable[DesiredInstance],
    live_state: LiveState,
    *,
    endpoints: Mapping[str, int] | None = None,
    replacing: Iterable[str] = (),
    rebalance: bool = False,
) -> Placement:
    """Where every instance goes; the order of ``desired`` never matters.

    ``replacing`` names instances or services that get a new generation although nothing of them changed: they need
    room beside the old. With ``endpoints``, ports of an ingress that others hold are refused too. ``rebalance`` moves
    what may move until every service is spread as it asks for; else a new host moves nothing.
    ValueError where a service's selector cannot be read, KeyError where it names a volume that is not declared.
    """
    placer = _Placer(
        host_pool=HostPool(
            fleet=fleet, capacities=host_capacities(fleet, live_state), apart_from=_apart_by_service(fleet)
        ),
        feasibilities=Feasibilities(fleet=fleet, live_state=live_state),
        constraints=build_constraints(fleet, live_state, frozenset(replacing)),
    )
    placer.place_all(sorted(desired, key=lambda instance: (instance.service, instance.ordinal)))
    rebalanced = placer.rebalance() if rebalance else frozenset()
    return Placement(
        hosts=dict(sorted(placer.hosts.items())),
        shortfalls=(*placer.shortfalls, *find_port_conflicts(fleet, live_state, endpoints or {})),
        unplaced=tuple(sorted(placer.unplaced)),
        unknown=tuple(sorted(placer.unknown)),
        held_reasons=placer.held_reasons,
        smallest_changes=placer.smallest_changes,
        rebalanced=rebalanced,
        remaining=placer.host_pool.capacities,
    )


def _apart_by_service(fleet: Fleet) -> Mapping[str, frozenset[str]]:
    """Service -> those it must not meet; apart is apart both ways, and a service may be apart from itself."""
    pairs = {(name, second) for name, service in fleet.services.items() for second in service.placement.apart_from}
    apart_by_service: dict[str, set[str]] = {}
    for first, second in pairs | {(second, first) for first, second in pairs}:
        apart_by_service.setdefault(first, set()).add(second)
    return {name: frozenset(names) for name, names in apart_by_service.items()}


@dataclass(slots=True, kw_only=True)
class _Placer:
    """One placement in the making."""

    host_pool: HostPool
    feasibilities: Feasibilities
    constraints: Constraints
    hosts: dict[str, str] = field(default_factory=dict)
    held_reasons: dict[str, str] = field(default_factory=dict)
    smallest_changes: dict[str, str] = field(default_factory=dict)
    shortfalls: list[Shortfall] = field(default_factory=list)
    settled: dict[str, list[_Candidate]] = field(default_factory=dict)
    unplaced: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)

    def place_all(self, desired: Sequence[DesiredInstance]) -> None:
        """All of them, in the order that the module's first lines give."""
        candidates = [self._candidate(instance) for instance in desired]
        self.unknown.extend(candidate.desired.name for candidate in candidates if candidate.constraint.is_unknown)
        placeable = [candidate for candidate in candidates if not candidate.constraint.is_unknown]
        placeable.sort(key=lambda candidate: (not candidate.constraint.is_current, not candidate.constraint.volume))
        self._place_unconstrained([candidate for candidate in placeable if not self._place_constrained(candidate)])

    def _candidate(self, desired: DesiredInstance) -> _Candidate:
        service = self.host_pool.fleet.services[desired.service]
        feasibility = self.feasibilities.for_service(service)
        return _Candidate(
            desired=desired,
            service=service,
            feasibility=feasibility,
            constraint=self.constraints.for_instance(desired, feasibility),
        )

    def _place_constrained(self, candidate: _Candidate) -> bool:
        """Put it where it is tied to; False where it may go elsewhere, and has to."""
        constraint = candidate.constraint
        if constraint.volume or constraint.conflict:
            self._place_bound(candidate)
            return True
        if not constraint.host or self.host_pool.conflicting_service(candidate.service.name, constraint.host):
            return False
        if constraint.is_current and not constraint.missing:
            self._assign(candidate, constraint.host, None)
            self.settled.setdefault(candidate.service.name, []).append(candidate)
            return True
        need = self._need_on(candidate, constraint.host)
        if self.host_pool.fits(candidate.service, constraint.host, need):
            self._place_replacement(candidate, need)
            return True
        return False

    def _place_bound(self, candidate: _Candidate) -> None:
        """It goes where its volume is, or nowhere."""
        constraint = candidate.constraint
        if candidate.is_excluded and constraint.existing is not None:
            self.held_reasons[candidate.desired.name] = self._held_reason(candidate)
        if constraint.existing is not None and constraint.is_current and not constraint.missing:
            self._assign(candidate, constraint.host, None)
            return
        need = self._need_on(candidate, constraint.host)
        if (
            constraint.conflict
            or constraint.host not in self.host_pool.capacities
            or (candidate.is_excluded and constraint.existing is None)
        ):
            self._refuse([candidate], need)
        elif self.host_pool.fits(candidate.service, constraint.host, need):
            self._place_replacement(candidate, need)
        else:
            self._refuse([candidate], need)

    def _held_reason(self, candidate: _Candidate) -> str:
        exclusion = candidate.feasibility.excluded.get(candidate.constraint.host)
        reason = exclusion.text if exclusion else "is not among placement.hosts"
        volume = f"volume {candidate.constraint.volume} is there, and volumes never move by themselves"
        return f"{candidate.constraint.host} {reason}, but {volume}"

    def _need_on(self, candidate: _Candidate, host: str) -> Need:
        old = candidate.constraint.existing
        stops_old_first = old is not None and must_stop_first(self.host_pool.fleet, candidate.desired, old)
        return self.host_pool.need_on(
            candidate.desired, host, old, self._new_volume_bytes(candidate), stops_first=stops_old_first
        )

    def _new_volume_bytes(self, candidate: _Candidate) -> int:
        if not candidate.constraint.missing:
            return 0
        sizes = volume_sizes(self.host_pool.fleet, candidate.desired)
        return sum(size for name, size in sizes if name in candidate.constraint.missing)

    def _place_replacement(self, candidate: _Candidate, need: Need) -> None:
        """It is launched where it is tied to; what is doubled beside the old is remembered for its wave."""
        old, desired = candidate.constraint.existing, candidate.desired
        self._assign(candidate, candidate.constraint.host, need)
        if old is not None and not must_stop_first(self.host_pool.fleet, desired, old):
            peak = self.host_pool.replacement_peak(desired, candidate.constraint.host)
            peak.add(min(old.memory + old.overhead, desired.memory + desired.overhead), min(old.cpus, desired.cpus))

    def _assign(self, candidate: _Candidate, host: str, need: Need | None) -> None:
        self.host_pool.add(candidate.service.name, host, need)
        self.hosts[candidate.desired.name] = host

    def rebalance(self) -> frozenset[str]:
        """Who moves so that every service is spread evenly: of those that hold their place, and have no volume."""
        moved: dict[str, str] = {}
        for _, candidates in sorted(self.settled.items()):
            movable: dict[str, list[DesiredInstance]] = {}
            for candidate in candidates:
                if candidate.constraint.existing and not candidate.constraint.existing.protect:
                    movable.setdefault(candidate.constraint.host, []).append(candidate.desired)
            moves = rebalance_moves(self.host_pool, candidates[0].service, candidates[0].feasibility, movable)
            moved |= {desired.name: host for desired, host in moves}
        self.hosts |= moved
        return frozenset(moved)

    def _place_unconstrained(self, candidates: Iterable[_Candidate]) -> None:
        """Those that nothing ties down, a service at a time."""
        services: dict[str, list[_Candidate]] = {}
        for candidate in candidates:
            services.setdefault(candidate.service.name, []).append(candidate)
        for name in sorted(services, key=lambda name: _placement_order(services[name][0], self.host_pool.apart_from)):
            self._spread_service(services[name])

    def _spread_service(self, candidates: Sequence[_Candidate]) -> None:
        spread = self.host_pool.spread_order(candidates[0].service, candidates[0].feasibility)
        unplaced: list[_Candidate] = []
        for candidate in candidates:
            host = spread.take_host(self._need_on(candidate, ""))
            if host:
                self.hosts[candidate.desired.name] = host
            else:
                unplaced.append(candidate)
        spread.return_hosts()
        if unplaced:
            self._refuse(unplaced, self._need_on(unplaced[0], ""))

    def _refuse(self, candidates: Sequence[_Candidate], need: Need) -> None:
        """They have no host; the first of a service is explained, since the others would say the same."""
        self.unplaced.extend(candidate.desired.name for candidate in candidates)
        first = candidates[0]
        if first.service.name in self.explained and not first.constraint.volume:
            return
        self.explained.add(first.service.name)
        self.shortfalls.extend(
            explain_shortfalls(self.host_pool, first.desired, first.feasibility, first.constraint, need)
        )
        placed = sum(self.host_pool.counts.get(first.service.name, {}).values())
        text = smallest_change(self.host_pool, first.desired, first.feasibility, need, placed)
        if text and not first.constraint.volume:
            self.smallest_changes[first.desired.name] = text


def _placement_order(candidate: _Candidate, apart: Mapping[str, frozenset[str]]) -> tuple[int, bool, int, int, str]:
    """Who chooses first. Of services that must not meet, the smaller: a large one would spread over every host."""
    name = candidate.service.name
    replicas = candidate.service.replicas if name in apart else 0
    memory = candidate.desired.memory + candidate.desired.overhead
    return len(candidate.feasibility.allowed), name not in apart, replicas, -memory, name
