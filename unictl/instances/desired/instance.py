"""The desired instances of a fleet: before placement, and with a host and addresses. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from unictl.fleet.model import Fleet, Port, Service
from unictl.fleet.names import InstanceName
from unictl.hypervisors.drivers import DEFAULT_HYPERVISOR, DRIVERS
from unictl.hypervisors.launch import ForwardRow
from unictl.instances.desired.fingerprint import fingerprint
from unictl.instances.desired.spec import FleetFacts, launch_spec, volume_names
from unictl.instances.launch_record import LaunchDocument, LaunchSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredInstance:
    """One instance as the fleet file wishes it: what is launched, still without host, addresses and generation.

    ``spec`` is the canonical launch spec: symbolic, JSON-able, defaults left out. ``memory`` and ``overhead`` are
    bytes; ``volumes`` maps the device in the guest to the volume's name.
    """

    name: str
    service: str
    ordinal: int
    spec: LaunchSpec
    fingerprint: str
    memory: int
    overhead: int
    cpus: int
    volumes: Mapping[str, str]
    ports: tuple[Port, ...]
    protect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedInstance:
    """A desired instance with everything decided: host, launch number, generation, forwards, resolved references.

    ``document`` is the launch document the host side takes, without any secret; empty for an instance that is kept.
    """

    desired: DesiredInstance
    host: str
    launch: int
    generation: str
    forwards: tuple[ForwardRow, ...]
    resolved: Mapping[str, str]
    document: LaunchDocument

    @property
    def key(self) -> str:
        """``api-2.7f3c9a1b``."""
        return f"{self.desired.name}.{self.generation}"


def desired_instances(fleet: Fleet, facts: FleetFacts) -> tuple[DesiredInstance, ...]:
    """All instances of a fleet, by service, then ordinal; KeyError where ``facts`` lack an image."""
    return tuple(
        instance for name in sorted(fleet.services) for instance in _replicas(fleet, fleet.services[name], facts)
    )


def requested_fingerprints(desired: Iterable[DesiredInstance]) -> Mapping[str, str]:
    """What hosts are asked to compare with: a service whose replicas are all alike stands once, others one by one.

    Every host is sent it: of 20,000 instances, the names alone would be more than a message holds.
    """
    by_service: dict[str, dict[str, str]] = {}
    for instance in desired:
        by_service.setdefault(instance.service, {})[instance.name] = instance.fingerprint
    uniform = {
        name: next(iter(by_name.values())) for name, by_name in by_service.items() if len({*by_name.values()}) == 1
    }
    return uniform | {
        name: digest
        for service, by_name in by_service.items()
        if service not in uniform
        for name, digest in by_name.items()
    }


def hypervisor_for(service: Service) -> str:
    """The hypervisor of a service: the one it names, else the default. It never depends on a host."""
    return service.hypervisor or DEFAULT_HYPERVISOR


def _replicas(fleet: Fleet, service: Service, facts: FleetFacts) -> Iterator[DesiredInstance]:
    spec = launch_spec(fleet, service, 0, facts)
    shared_fingerprint = fingerprint(spec)
    driver = DRIVERS.get(hypervisor_for(service))
    # A hypervisor without a driver is preflight's to tell; until then the instance takes at least its memory.
    overhead = driver.overhead if driver else 0
    for ordinal in range(service.replicas):
        # Replicas differ in their volumes only; without any they share one spec, which 20,000 of them notice.
        replica_spec = launch_spec(fleet, service, ordinal, facts) if service.volumes and ordinal else spec
        yield DesiredInstance(
            name=InstanceName.of(service.name, ordinal),
            service=service.name,
            ordinal=ordinal,
            spec=replica_spec,
            fingerprint=shared_fingerprint if replica_spec is spec else fingerprint(replica_spec),
            memory=service.memory,
            overhead=overhead,
            cpus=service.cpus,
            volumes=volume_names(service, ordinal),
            ports=service.ports,
            protect=service.protect,
        )
