"""Moves instances until a service is spread as it asks for. Pure.

Only from where it has most to where it has fewest, and only while that makes a difference: two apart or more.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from unictl.fleet.model import Service
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.placement.capacity import need_of
from unictl.instances.placement.feasibility import Feasibility
from unictl.instances.placement.host_pool import HostPool, spread_value


def rebalance_moves(
    host_pool: HostPool, service: Service, feasibility: Feasibility, movable: Mapping[str, Sequence[DesiredInstance]]
) -> Iterator[tuple[DesiredInstance, str]]:
    """(instance, host) of each that moves, noted on the board; ``movable``: host -> its instances there that may."""
    rebalancing = _Rebalancing(host_pool, service, feasibility, movable)
    while move := rebalancing.next_move():
        yield move


class _Rebalancing:
    """One service while it is evened out; the highest ordinals go first."""

    def __init__(
        self,
        host_pool: HostPool,
        service: Service,
        feasibility: Feasibility,
        movable: Mapping[str, Sequence[DesiredInstance]],
    ):
        self.host_pool, self.service, self.feasibility = host_pool, service, feasibility
        self.movable = {
            host: sorted(instances, key=lambda instance: instance.ordinal) for host, instances in movable.items()
        }
        self.groups: defaultdict[str, list[str]] = defaultdict(list)
        for host in feasibility.allowed:
            self.groups[spread_value(host_pool.fleet, host, service.placement.spread)].append(host)

    def next_move(self) -> tuple[DesiredInstance, str] | None:
        """The next move: between groups, then between the hosts of a group."""
        return self._move_between_groups() or next(
            filter(None, map(self._move_within_group, sorted(self.groups))), None
        )

    def _move_between_groups(self) -> tuple[DesiredInstance, str] | None:
        counts = {value: sum(map(self._count, hosts)) for value, hosts in self.groups.items()}
        pairs = [(fuller, emptier) for fuller in counts for emptier in counts if counts[fuller] - counts[emptier] > 1]
        for most, fewest in sorted(pairs, key=lambda pair: (counts[pair[1]] - counts[pair[0]], pair)):
            if move := self._move_from_to(self.groups[most], self.groups[fewest]):
                return move
        return None

    def _move_within_group(self, value: str) -> tuple[DesiredInstance, str] | None:
        hosts = self.groups[value]
        most = max(map(self._count, hosts))
        fewest = [host for host in hosts if most - self._count(host) > 1]
        return self._move_from_to([host for host in hosts if self._count(host) == most], fewest)

    def _move_from_to(self, fuller: Sequence[str], emptier: Sequence[str]) -> tuple[DesiredInstance, str] | None:
        sources = sorted(
            (host for host in fuller if self.movable.get(host)), key=lambda host: (-self._count(host), host)
        )
        targets = sorted(emptier, key=lambda host: (self._count(host), -self.host_pool.capacities[host].memory, host))
        for source in sources[:1]:
            need = need_of(self.movable[source][-1])
            for target in targets:
                if self.host_pool.fits(self.service, target, need):
                    return self._record_move(source, target)
        return None

    def _record_move(self, source: str, target: str) -> tuple[DesiredInstance, str]:
        desired = self.movable[source].pop()
        self.host_pool.counts[self.service.name][source] -= 1
        self.host_pool.add(self.service.name, target, need_of(desired))
        return desired, target

    def _count(self, host: str) -> int:
        return self.host_pool.counts.get(self.service.name, {}).get(host, 0)
