"""The desired instances of a fleet: before placement, and with a host and addresses. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unictl.fleet.model import Fleet, Port, Service
from unictl.fleet.names import instance_name
from unictl.hypervisors.drivers import DEFAULT, DRIVERS
from unictl.instances.desired.fingerprint import fingerprint
from unictl.instances.desired.spec import FleetFacts, launch_spec, volume_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Wished:
    """One instance as the fleet file wishes it: what is launched, still without host, addresses and generation.

    ``spec`` is the canonical launch spec: symbolic, JSON-able, defaults left out. ``memory`` and ``overhead`` are
    bytes; ``volumes`` maps the device in the guest to the volume's name.
    """

    name: str
    service: str
    ordinal: int
    spec: Mapping[str, Any]
    fingerprint: str
    memory: int
    overhead: int
    cpus: int
    volumes: Mapping[str, str]
    ports: tuple[Port, ...]
    protect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A wished instance with everything decided: host, launch number, generation, forwards, resolved references.

    ``document`` is the launch document the host side takes (``onhost.launch``), without any secret.
    """

    wished: Wished
    host: str
    launch: int
    generation: str
    forwards: tuple[Mapping[str, Any], ...]
    resolved: Mapping[str, str]
    document: Mapping[str, Any]

    @property
    def key(self) -> str:
        """``api-2.7f3c9a1b``."""
        return f"{self.wished.name}.{self.generation}"


def wish(fleet: Fleet, facts: FleetFacts) -> tuple[Wished, ...]:
    """All instances of a fleet, by service, then ordinal; KeyError where ``facts`` lack an image."""
    return tuple(one for name in sorted(fleet.services) for one in _replicas(fleet, fleet.services[name], facts))


def fingerprints(wished: Iterable[Wished]) -> Mapping[str, str]:
    """What hosts are asked to compare with: a service whose replicas are all alike stands once, others one by one.

    Every host is sent it: of 20,000 instances, the names alone would be more than a message holds.
    """
    found: dict[str, dict[str, str]] = {}
    for each in wished:
        found.setdefault(each.service, {})[each.name] = each.fingerprint
    alike = {name: next(iter(rows.values())) for name, rows in found.items() if len({*rows.values()}) == 1}
    return alike | {
        name: mark for service, rows in found.items() if service not in alike for name, mark in rows.items()
    }


def hypervisor_of(service: Service) -> str:
    """The hypervisor of a service: the one it names, else the default. It never depends on a host."""
    return service.hypervisor or DEFAULT


def _replicas(fleet: Fleet, service: Service, facts: FleetFacts) -> Iterator[Wished]:
    spec = launch_spec(fleet, service, 0, facts)
    shared = fingerprint(spec)
    driver = DRIVERS.get(hypervisor_of(service))
    # A hypervisor without a driver is preflight's to tell; until then the instance takes at least its memory.
    overhead = driver.overhead if driver else 0
    for ordinal in range(service.replicas):
        # Replicas differ in their volumes only; without any they share one spec, which 20,000 of them notice.
        own = launch_spec(fleet, service, ordinal, facts) if service.volumes and ordinal else spec
        yield Wished(
            name=instance_name(service.name, ordinal),
            service=service.name,
            ordinal=ordinal,
            spec=own,
            fingerprint=shared if own is spec else fingerprint(own),
            memory=service.memory,
            overhead=overhead,
            cpus=service.cpus,
            volumes=volume_names(service, ordinal),
            ports=service.ports,
            protect=service.protect,
        )
