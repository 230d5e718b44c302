"""A placement in progress: what every host has left, and how many instances of each service it runs. Pure.

Hosts are kept in heaps by free memory, one for each value they are spread over, so that placing an instance costs
the logarithm of the number of hosts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace

from unictl.fleet.model import Fleet, Service
from unictl.fleet.selection import host_labels
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.instances.placement.capacity import HostCapacity, Need, ReplacementPeak, need_beside, need_of
from unictl.instances.placement.feasibility import Feasibility, FeasibilityKey

HeapEntry = tuple[int, str]
"""A host in a heap: its free memory negated, its name."""


@dataclass(slots=True, kw_only=True)
class HostPool:
    """``counts``: service -> host -> how many of it; ``apart_from``: the services that each must not meet.

    ``heaps`` are shared by all services of one ground and spread. Memory only ever shrinks while placing, so an entry
    that is out of date promises too much, is seen when it comes up, and is put right then.
    """

    fleet: Fleet
    capacities: Mapping[str, HostCapacity]
    apart_from: Mapping[str, frozenset[str]]
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    heaps: dict[tuple[FeasibilityKey, str], dict[str, list[HeapEntry]]] = field(default_factory=dict)

    def conflicting_service(self, service: str, host: str) -> str:
        """A service on ``host`` that this one must be apart from; empty where there is none."""
        excluded_services = self.apart_from.get(service)
        if not excluded_services:
            return ""
        return min((excluded for excluded in excluded_services if self.counts.get(excluded, {}).get(host)), default="")

    def fits(self, service: Service, host: str, need: Need) -> bool:
        """Whether ``host`` has room for it, and nobody that it must not meet."""
        return self.capacities[host].fits(need, service.placement.cpu_ratio) and not self.conflicting_service(
            service.name, host
        )

    def add(self, service: str, host: str, need: Need | None = None) -> None:
        """One of ``service`` stands on ``host``; without a need it is there already."""
        hosts = self.counts.setdefault(service, {})
        hosts[host] = hosts.get(host, 0) + 1
        if need is not None:
            self.capacities[host].take(need)

    def need_on(
        self, desired: DesiredInstance, host: str, old: LiveInstance | None, new_volumes: int, *, stops_first: bool
    ) -> Need:
        """What an instance takes of ``host`` at the worst moment of its rollout, beside ``old`` where it is there."""
        if old is None or old.host != host:
            return need_of(desired, new_volumes)
        return need_beside(desired, old, None if stops_first else self.replacement_peak(desired, host), new_volumes)

    def replacement_peak(self, desired: DesiredInstance, host: str) -> ReplacementPeak:
        """Those of its service that are doubled at once on ``host``."""
        service = self.fleet.services[desired.service]
        update, replicas = service.update, max(1, service.replicas)
        max_count = max(1, update.max_parallel.of(replicas, round_up=True), update.canary.of(replicas, round_up=True))
        return self.capacities[host].peaks.setdefault(desired.service, ReplacementPeak(max_count=max_count))

    def spread_order(self, service: Service, feasibility: Feasibility) -> "SpreadOrder":
        """The hosts of ``feasibility`` in the order in which the service's instances take them."""
        spread_label = service.placement.spread
        values = self.heaps.get((feasibility.key, spread_label))
        if values is None:
            values = self.heaps[feasibility.key, spread_label] = self._build_heaps(feasibility, spread_label)
        groups = {value: SpreadGroup(host_pool=self, service=service, heap=heap) for value, heap in values.items()}
        for host, count in self.counts.get(service.name, {}).items():
            if host in feasibility.members:
                groups[spread_value(self.fleet, host, spread_label)].count += count
        return SpreadOrder(groups=groups, order=sorted((group.rank(value) for value, group in groups.items())))

    def _build_heaps(self, feasibility: Feasibility, spread_label: str) -> dict[str, list[HeapEntry]]:
        values: dict[str, list[HeapEntry]] = {}
        for host in feasibility.allowed:
            values.setdefault(spread_value(self.fleet, host, spread_label), []).append(
                (-self.capacities[host].memory, host)
            )
        for heap in values.values():
            heapify(heap)
        return values


def spread_value(fleet: Fleet, host: str, spread_label: str) -> str:
    """What instances are spread over. One value for all where it is the host: the fewest on a host counts anyway."""
    return "" if spread_label == "host" else host_labels(fleet.hosts[host]).get(spread_label, "")


@dataclass(slots=True, kw_only=True)
class SpreadGroup:
    """The hosts of one spread value, for one service: fresh ones by free memory, then those it is on, fewest first."""

    host_pool: HostPool
    service: Service
    heap: list[HeapEntry]
    count: int = 0
    used_hosts: list[tuple[int, int, str]] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)

    def take_host(self, need: Need) -> str:
        """The next host, with ``need`` taken there; empty where none has room."""
        host = self._take_fresh(need) or self._take_used(need)
        if host:
            self.host_pool.add(self.service.name, host, need)
            self.count += 1
            self._push_used(host)
        return host

    def rank(self, value: str) -> tuple[int, int, str]:
        """How the group stands against others: the fewest first, then the most free memory, then by name."""
        return self.count, self.heap[0][0] if self.heap else 0, value

    def return_hosts(self) -> None:
        """Give the hosts back to the heap that other services share."""
        for host in self.set_aside:
            heappush(self.heap, (-self.host_pool.capacities[host].memory, host))

    def _take_fresh(self, need: Need) -> str:
        while self.heap:
            negative, host = self.heap[0]
            free = self.host_pool.capacities[host].memory
            if -negative != free:
                heapreplace(self.heap, (-free, host))
            elif free < need.memory:
                return ""
            else:
                heappop(self.heap)
                self.set_aside.append(host)
                if self.host_pool.counts.get(self.service.name, {}).get(host):
                    self._push_used(host)
                elif self.host_pool.fits(self.service, host, need):
                    return host
        return ""

    def _take_used(self, need: Need) -> str:
        while self.used_hosts:
            _, _, host = heappop(self.used_hosts)
            if self.host_pool.fits(self.service, host, need):
                return host
        return ""

    def _push_used(self, host: str) -> None:
        heappush(
            self.used_hosts,
            (self.host_pool.counts[self.service.name][host], -self.host_pool.capacities[host].memory, host),
        )


@dataclass(slots=True, kw_only=True)
class SpreadOrder:
    """The groups of a service, the emptiest first; one that has no room is out for this service."""

    groups: Mapping[str, SpreadGroup]
    order: list[tuple[int, int, str]]

    def take_host(self, need: Need) -> str:
        """The next host, with ``need`` taken there; empty where none has room."""
        while self.order:
            _, _, value = heappop(self.order)
            group = self.groups[value]
            host = group.take_host(need)
            if host:
                heappush(self.order, group.rank(value))
                return host
        return ""

    def return_hosts(self) -> None:
        """Give all hosts back."""
        for group in self.groups.values():
            group.return_hosts()
