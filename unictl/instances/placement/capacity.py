"""What a host has, what of it is taken, and what an instance needs: memory, cpus, disk, ports. Pure.

A record reserves what its instance was promised, whatever its state; the host counts in the same way when it
launches.
Memory is never overcommitted; cpus are, up to the service's ``cpu_ratio``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappush, heapreplace

from unictl.fleet.model import MIB, Fleet, Host
from unictl.fleet.quantities import Share
from unictl.instances.desired.instance import Wished
from unictl.instances.launch.addresses import FORWARDS, own_ports, taken_ports
from unictl.instances.observed.host_state import LiveInstance, Survey, World

RESERVE = Share(number=10, percent=True)
LEAST_RESERVE = 256 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What an instance takes of its host at the worst moment. ``memory`` (guest and overhead) and ``disk`` in bytes."""

    memory: int = 0
    cpus: int = 0
    disk: int = 0
    ports: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """A dimension in which a host has less ``free`` than an instance ``need``s."""

    dimension: str
    need: int
    free: int


@dataclass(slots=True, kw_only=True)
class Room:
    """What is left on one host; counted down while instances are placed, the only value here that changes.

    ``cores`` are all of the host's, ``cpus`` those promised. ``waves`` holds for each service the largest instances
    that are doubled at once while it is replaced.
    """

    memory: int
    cores: int
    cpus: int
    disk: int
    ports: int
    waves: dict[str, "Wave"] = field(default_factory=dict)

    def lacks(self, need: Need, ratio: float) -> tuple[Lack, ...]:
        """Every dimension in which ``need`` does not fit; ``ratio``: how often a core may be promised."""
        free = {
            "memory": self.memory,
            "cpus": int(self.cores * ratio) - self.cpus,
            "disk": self.disk,
            "ports": self.ports,
        }
        return tuple(
            Lack(dimension=name, need=wanted, free=max(0, has))
            for name, has in free.items()
            if (wanted := getattr(need, name)) > has and wanted > 0
        )

    def fits(self, need: Need, ratio: float) -> bool:
        """Whether ``lacks`` has nothing to say, without saying it."""
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
class Wave:
    """The largest instances of a service on a host that run twice at once, in memory and in cpus; ``most`` of them."""

    most: int
    memory: list[int] = field(default_factory=list)
    cpus: list[int] = field(default_factory=list)

    def grown(self, memory: int, cpus: int) -> tuple[int, int]:
        """By how much the worst moment grows where one more is replaced."""
        return _grown(self.memory, memory, self.most), _grown(self.cpus, cpus, self.most)

    def add(self, memory: int, cpus: int) -> None:
        """One more is replaced."""
        _add(self.memory, memory, self.most)
        _add(self.cpus, cpus, self.most)


def _grown(largest: list[int], value: int, most: int) -> int:
    return value if len(largest) < most else max(0, value - largest[0])


def _add(largest: list[int], value: int, most: int) -> None:
    if len(largest) < most:
        heappush(largest, value)
    elif value > largest[0]:
        heapreplace(largest, value)


def rooms(fleet: Fleet, world: World) -> dict[str, Room]:
    """The room on every host that answered, beside all that lives there now."""
    own = own_ports(fleet)
    return {
        name: _room(fleet.hosts[name], said, world, own)
        for name, said in sorted(world.items())
        if isinstance(said, Survey) and name in fleet.hosts
    }


def _room(host: Host, said: Survey, world: World, own: frozenset[int]) -> Room:
    taken = (own | taken_ports(world, host.name)) & _FORWARDS
    return Room(
        memory=free_memory(host, said) - sum(map(held_memory, said.instances)),
        cores=host.cpus or said.cpus,
        cpus=sum(live.cpus for live in said.instances),
        disk=said.disk_free,
        ports=len(_FORWARDS) - len(taken),
    )


_FORWARDS = frozenset(FORWARDS)


def free_memory(host: Host, said: Survey) -> int:
    """Bytes that this fleet's instances may have in all: the host's, minus reserve and what others hold."""
    total = min(host.memory or said.memory, said.memory)
    others = sum(claim.amount for claim in said.claims if claim.kind == "memory")
    return total - reserve(host, total) - others


def reserve(host: Host, total: int) -> int:
    """Bytes kept back of a host's ``total``: as declared, else a tenth, at least 256 MiB."""
    if isinstance(host.reserve, Share):
        return host.reserve.of(total, up=True)
    return host.reserve if host.reserve is not None else max(LEAST_RESERVE, RESERVE.of(total, up=True))


def held_memory(live: LiveInstance) -> int:
    """Bytes that a live instance holds: guest and overhead."""
    return live.memory + live.overhead


def need_of(wished: Wished, new_volumes: int = 0) -> Need:
    """What an instance takes where nothing of it lives; ``new_volumes``: bytes of the volumes to be made."""
    return Need(memory=wished.memory + wished.overhead, cpus=wished.cpus, disk=new_volumes, ports=len(wished.ports))


def need_beside(wished: Wished, old: LiveInstance, wave: Wave | None, new_volumes: int = 0) -> Need:
    """What replacing ``old`` on its own host takes besides it; ``wave`` is None where the old one goes first.

    While it is replaced both are there, but not all of a service at once: beyond a wave's number only growth counts.
    """
    whole = need_of(wished, new_volumes)
    memory, cpus = held_memory(old), old.cpus
    doubled = wave.grown(min(memory, whole.memory), min(cpus, whole.cpus)) if wave else (0, 0)
    return Need(
        memory=max(0, whole.memory - memory) + doubled[0],
        cpus=max(0, whole.cpus - cpus) + doubled[1],
        disk=new_volumes,
        ports=whole.ports,
    )


def volume_sizes(fleet: Fleet, wished: Wished) -> Iterator[tuple[str, int]]:
    """(volume, bytes) of an instance's volumes as declared."""
    declared = fleet.services[wished.service].volumes
    for device, name in wished.volumes.items():
        yield name, fleet.volumes[declared[device]].size


def volume_homes(world: World) -> Mapping[str, tuple[str, ...]]:
    """Volume -> the hosts that show it, one that uses it first."""
    found: dict[str, list[tuple[bool, str]]] = {}
    for host, said in world.items():
        for volume in said.volumes if isinstance(said, Survey) else ():
            found.setdefault(volume.name, []).append((not volume.used_by, host))
    return {name: tuple(host for _, host in sorted(homes)) for name, homes in found.items()}
