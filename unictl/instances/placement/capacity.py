"""What a host has, what of it is taken, and what an instance needs: memory, cpus, disk, ports. Pure.

A record reserves what its instance was promised, whatever its state; the host counts in the same way when it
launches. Memory is never overcommitted; cpus are, up to the service's ``cpu_ratio``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappush, heapreplace

from unictl.fleet.model import MIB, Fleet, Host
from unictl.fleet.quantities import Share
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.launch.addresses import FORWARD_PORTS, published_ports, taken_ports
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey

DEFAULT_RESERVE = Share(number=10, percent=True)
MIN_RESERVE = 256 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What an instance takes of its host at the worst moment. ``memory`` (guest and overhead) and ``disk`` in bytes."""

    memory: int = 0
    cpus: int = 0
    disk: int = 0
    ports: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """A dimension in which a host has less ``free`` than an instance ``need``s."""

    dimension: str
    need: int
    free: int


@dataclass(slots=True, kw_only=True)
class HostCapacity:
    """What is left on one host; counted down while instances are placed, the only value here that changes.

    ``cores`` are all of the host's, ``cpus`` those promised. ``peaks`` holds for each service the largest instances
    that are doubled at once while it is replaced.
    """

    memory: int
    cores: int
    cpus: int
    disk: int
    ports: int
    peaks: dict[str, "ReplacementPeak"] = field(default_factory=dict)

    def shortages(self, need: Need, ratio: float) -> tuple[Shortage, ...]:
        """Every dimension in which ``need`` does not fit; ``ratio``: how often a core may be promised."""
        free = {
            "memory": self.memory,
            "cpus": int(self.cores * ratio) - self.cpus,
            "disk": self.disk,
            "ports": self.ports,
        }
        return tuple(
            Shortage(dimension=name, need=required, free=max(0, available))
            for name, available in free.items()
            if (required := getattr(need, name)) > available and required > 0
        )

    def fits(self, need: Need, ratio: float) -> bool:
        """Whether ``shortages`` has nothing to say, without saying it."""
        return (
            (need.memory <= self.memory or not need.memory)
            and (need.cpus <= int(self.cores * ratio) - self.cpus or not need.cpus)
            and (need.disk <= self.disk or not need.disk)
            and (need.ports <= self.ports or not need.ports)
        )

    def take(self, need: Need) -> None:
        """Count it down."""
        self.memory -= need.memory
        self.cpus += need.cpus
        self.disk -= need.disk
        self.ports -= need.ports


@dataclass(slots=True, kw_only=True)
class ReplacementPeak:
    """The largest instances of a service on a host that run twice at once, in memory and in cpus; ``max_count`` of
    them.
    """

    max_count: int
    memory: list[int] = field(default_factory=list)
    cpus: list[int] = field(default_factory=list)

    def growth(self, memory: int, cpus: int) -> tuple[int, int]:
        """By how much the worst moment grows where one more is replaced."""
        return _growth(self.memory, memory, self.max_count), _growth(self.cpus, cpus, self.max_count)

    def add(self, memory: int, cpus: int) -> None:
        """One more is replaced."""
        _add_largest(self.memory, memory, self.max_count)
        _add_largest(self.cpus, cpus, self.max_count)


def _growth(largest: list[int], value: int, max_count: int) -> int:
    return value if len(largest) < max_count else max(0, value - largest[0])


def _add_largest(largest: list[int], value: int, max_count: int) -> None:
    if len(largest) < max_count:
        heappush(largest, value)
    elif value > largest[0]:
        heapreplace(largest, value)


def host_capacities(fleet: Fleet, live_state: LiveState) -> dict[str, HostCapacity]:
    """The room on every host that answered, beside all that lives there now."""
    published = published_ports(fleet)
    return {
        name: _host_capacity(fleet.hosts[name], survey, live_state, published)
        for name, survey in sorted(live_state.items())
        if isinstance(survey, Survey) and name in fleet.hosts
    }


def _host_capacity(host: Host, survey: Survey, live_state: LiveState, published: frozenset[int]) -> HostCapacity:
    taken = (published | taken_ports(live_state, host.name)) & _FORWARD_PORTS
    return HostCapacity(
        memory=free_memory(host, survey) - sum(map(instance_memory, survey.instances)),
        cores=host.cpus or survey.cpus,
        cpus=sum(live.cpus for live in survey.instances),
        disk=survey.disk_free,
        ports=len(_FORWARD_PORTS) - len(taken),
    )


_FORWARD_PORTS = frozenset(FORWARD_PORTS)


def free_memory(host: Host, survey: Survey) -> int:
    """Bytes that this fleet's instances may have in all: the host's, minus reserve and what others hold."""
    total = min(host.memory or survey.memory, survey.memory)
    claimed = sum(claim.amount for claim in survey.claims if claim.kind == "memory")
    return total - host_reserve(host, total) - claimed


def host_reserve(host: Host, total: int) -> int:
    """Bytes kept back of a host's ``total``: as declared, else a tenth, at least 256 MiB."""
    if isinstance(host.reserve, Share):
        return host.reserve.of(total, round_up=True)
    return host.reserve if host.reserve is not None else max(MIN_RESERVE, DEFAULT_RESERVE.of(total, round_up=True))


def instance_memory(live: LiveInstance) -> int:
    """Bytes that a live instance holds: guest and overhead."""
    return live.memory + live.overhead


def need_of(desired: DesiredInstance, new_volumes: int = 0) -> Need:
    """What an instance takes where nothing of it lives; ``new_volumes``: bytes of the volumes to be made."""
    return Need(memory=desired.memory + desired.overhead, cpus=desired.cpus, disk=new_volumes, ports=len(desired.ports))


def need_beside(
    desired: DesiredInstance, old: LiveInstance, peak: ReplacementPeak | None, new_volumes: int = 0
) -> Need:
    """What replacing ``old`` on its own host takes besides it; ``peak`` is None where the old one goes first.

    While it is replaced both are there, but not all of a service at once: beyond a wave's number only growth counts.
    """
    total = need_of(desired, new_volumes)
    memory, cpus = instance_memory(old), old.cpus
    peak_growth = peak.growth(min(memory, total.memory), min(cpus, total.cpus)) if peak else (0, 0)
    return Need(
        memory=max(0, total.memory - memory) + peak_growth[0],
        cpus=max(0, total.cpus - cpus) + peak_growth[1],
        disk=new_volumes,
        ports=total.ports,
    )


def volume_sizes(fleet: Fleet, desired: DesiredInstance) -> Iterator[tuple[str, int]]:
    """(volume, bytes) of an instance's volumes as declared."""
    declared = fleet.services[desired.service].volumes
    for device, name in desired.volumes.items():
        yield name, fleet.volumes[declared[device]].size


def volume_homes(live_state: LiveState) -> Mapping[str, tuple[str, ...]]:
    """Volume -> the hosts that show it, one that uses it first."""
    homes_by_volume: dict[str, list[tuple[bool, str]]] = {}
    for host, survey in live_state.items():
        for volume in survey.volumes if isinstance(survey, Survey) else ():
            homes_by_volume.setdefault(volume.name, []).append((not volume.used_by, host))
    return {name: tuple(host for _, host in sorted(homes)) for name, homes in homes_by_volume.items()}
