"""A placement in progress: what every host has left, and how many instances of each service it runs. Pure.

Hosts are kept in heaps by free memory, one for each value they are spread over, so that placing an instance costs
the
logarithm of the number of hosts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace

from unictl.fleet.model import Fleet, Service
from unictl.fleet.selection import host_labels
from unictl.instances.desired.instance import Wished
from unictl.instances.observed.host_state import LiveInstance
from unictl.instances.placement.capacity import Need, Room, Wave, need_beside, need_of
from unictl.instances.placement.feasibility import Ground, Key

Free = tuple[int, str]
"""A host in a heap: its free memory negated, its name."""


@dataclass(slots=True, kw_only=True)
class Board:
    """``where``: service -> host -> how many of it; ``apart``: the services that each must not meet.

    ``heaps`` are shared by all services of one ground and spread. Memory only ever shrinks while placing, so an entry
    that is out of date promises too much, is seen when it comes up, and is put right then.
    """

    fleet: Fleet
    rooms: Mapping[str, Room]
    apart: Mapping[str, frozenset[str]]
    where: dict[str, dict[str, int]] = field(default_factory=dict)
    heaps: dict[tuple[Key, str], dict[str, list[Free]]] = field(default_factory=dict)

    def meets(self, service: str, host: str) -> str:
        """A service on ``host`` that this one must be apart from; empty where there is none."""
        others = self.apart.get(service)
        if not others:
            return ""
        return min((other for other in others if self.where.get(other, {}).get(host)), default="")

    def takes(self, service: Service, host: str, need: Need) -> bool:
        """Whether ``host`` has room for it, and nobody that it must not meet."""
        return self.rooms[host].fits(need, service.placement.cpu_ratio) and not self.meets(service.name, host)

    def put(self, service: str, host: str, need: Need | None = None) -> None:
        """One of ``service`` stands on ``host``; without a need it is there already."""
        hosts = self.where.setdefault(service, {})
        hosts[host] = hosts.get(host, 0) + 1
        if need is not None:
            self.rooms[host].take(need)

    def need(self, wished: Wished, host: str, old: LiveInstance | None, new_volumes: int, *, stops: bool) -> Need:
        """What an instance takes of ``host`` at the worst moment of its rollout, beside ``old`` where it is there."""
        if old is None or old.host != host:
            return need_of(wished, new_volumes)
        return need_beside(wished, old, None if stops else self.wave(wished, host), new_volumes)

    def wave(self, wished: Wished, host: str) -> Wave:
        """Those of its service that are doubled at once on ``host``."""
        service = self.fleet.services[wished.service]
        update, replicas = service.update, max(1, service.replicas)
        most = max(1, update.max_parallel.of(replicas, up=True), update.canary.of(replicas, up=True))
        return self.rooms[host].waves.setdefault(wished.service, Wave(most=most))

    def spread(self, service: Service, ground: Ground) -> "Spread":
        """The hosts of ``ground`` in the order in which the service's instances take them."""
        by = service.placement.spread
        values = self.heaps.get((ground.key, by))
        if values is None:
            values = self.heaps[ground.key, by] = self._heaps(ground, by)
        groups = {value: Group(board=self, service=service, heap=heap) for value, heap in values.items()}
        for host, count in self.where.get(service.name, {}).items():
            if host in ground.members:
                groups[value_of(self.fleet, host, by)].count += count
        return Spread(groups=groups, order=sorted((group.rank(value) for value, group in groups.items())))

    def _heaps(self, ground: Ground, by: str) -> dict[str, list[Free]]:
        values: dict[str, list[Free]] = {}
        for host in ground.allowed:
            values.setdefault(value_of(self.fleet, host, by), []).append((-self.rooms[host].memory, host))
        for heap in values.values():
            heapify(heap)
        return values


def value_of(fleet: Fleet, host: str, by: str) -> str:
    """What instances are spread over. One value for all where it is the host: the fewest on a host counts anyway."""
    return "" if by == "host" else host_labels(fleet.hosts[host]).get(by, "")


@dataclass(slots=True, kw_only=True)
class Group:
    """The hosts of one spread value, for one service: fresh ones by free memory, then those it is on, fewest first."""

    board: Board
    service: Service
    heap: list[Free]
    count: int = 0
    used: list[tuple[int, int, str]] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    def take(self, need: Need) -> str:
        """The next host, with ``need`` taken there; empty where none has room."""
        host = self._fresh(need) or self._again(need)
        if host:
            self.board.put(self.service.name, host, need)
            self.count += 1
            self._keep(host)
        return host

    def rank(self, value: str) -> tuple[int, int, str]:
        """How the group stands against others: the fewest first, then the most free memory, then by name."""
        return self.count, self.heap[0][0] if self.heap else 0, value

    def done(self) -> None:
        """Give the hosts back to the heap that other services share."""
        for host in self.aside:
            heappush(self.heap, (-self.board.rooms[host].memory, host))

    def _fresh(self, need: Need) -> str:
        while self.heap:
            negative, host = self.heap[0]
            free = self.board.rooms[host].memory
            if -negative != free:
                heapreplace(self.heap, (-free, host))
            elif free < need.memory:
                return ""
            else:
                heappop(self.heap)
                self.aside.append(host)
                if self.board.where.get(self.service.name, {}).get(host):
                    self._keep(host)
                elif self.board.takes(self.service, host, need):
                    return host
        return ""

    def _again(self, need: Need) -> str:
        while self.used:
            _, _, host = heappop(self.used)
            if self.board.takes(self.service, host, need):
                return host
        return ""

    def _keep(self, host: str) -> None:
        heappush(self.used, (self.board.where[self.service.name][host], -self.board.rooms[host].memory, host))


@dataclass(slots=True, kw_only=True)
class Spread:
    """The groups of a service, the emptiest first; one that has no room is out for this service."""

    groups: Mapping[str, Group]
    order: list[tuple[int, int, str]]

    def take(self, need: Need) -> str:
        """The next host, with ``need`` taken there; empty where none has room."""
        while self.order:
            _, _, value = heappop(self.order)
            group = self.groups[value]
            host = group.take(need)
            if host:
                heappush(self.order, group.rank(value))
                return host
        return ""

    def done(self) -> None:
        """Give all hosts back."""
        for group in self.groups.values():
            group.done()
