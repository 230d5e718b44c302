"""The addresses of instances: what references resolve to on a host, and which of its ports forward. Pure.

Ports are chosen by hash, so that two plans of one state agree, and probed past everything that is taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from unictl.fleet.model import Fleet
from unictl.fleet.references import Reference
from unictl.hypervisors.launch import Forward
from unictl.hypervisors.network import GuestAddresses
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import DesiredInstance, PlacedInstance
from unictl.instances.desired.networks import guest_addresses, networks_of
from unictl.instances.desired.spec import FleetFacts, used_references
from unictl.instances.launch.document import launch_document
from unictl.instances.observed.host_state import LiveState, Survey

FORWARD_PORTS = range(10_000, 20_000)
"""The host ports that forwards are taken from."""

LOOPBACK = "127.0.0.1"


def resolve_references(
    fleet: Fleet, desired: DesiredInstance, host: str, endpoints: Mapping[str, int]
) -> Mapping[str, str]:
    """What the references of an instance mean on ``host``, by name: ``service.counter.http`` -> ``10.0.2.2:20000``.

    Only those its texts use; secrets are none of them. KeyError where ``endpoints`` lack a port.
    """
    references_by_key = {
        f"{entry.kind}.{entry.name}": entry for entry in sorted(used_references(fleet.services[desired.service]))
    }
    values = {
        key: _reference_value(fleet, desired, host, reference, endpoints)
        for key, reference in references_by_key.items()
    }
    return {key: value for key, value in values.items() if value is not None}


def _reference_value(
    fleet: Fleet, desired: DesiredInstance, host: str, reference: Reference, endpoints: Mapping[str, int]
) -> str | None:
    match (reference.kind, reference.name):
        case ("service", name):
            return f"{_first_network(fleet, desired).gateway}:{endpoints[name]}"
        case ("instance", "address"):
            return _first_network(fleet, desired).address.partition("/")[0]
        case ("instance", "name"):
            return desired.name
        case ("instance", "ordinal"):
            return str(desired.ordinal)
        case ("host", "name"):
            return host
        case _:
            return None


def _first_network(fleet: Fleet, desired: DesiredInstance) -> GuestAddresses:
    # The first: its gateway is the one that a guest's default route leads to.
    return guest_addresses(networks_of(fleet, fleet.services[desired.service])[0])


def assign_addresses(
    fleet: Fleet,
    items: Sequence[tuple[DesiredInstance, str, int]],
    live_state: LiveState,
    endpoints: Mapping[str, int],
    facts: FleetFacts,
    *,
    commit: str = "",
) -> Mapping[str, PlacedInstance]:
    """Everything decided for (instance, host, launch number), by instance name; the order of ``items`` never matters.

    ``commit`` is what the launch documents name as their origin. ValueError where a host has no port left.
    """
    reserved_ports = frozenset(endpoints.values()) | published_ports(fleet)
    taken_by_host = {host: {*reserved_ports, *taken_ports(live_state, host)} for host in {host for _, host, _ in items}}
    ordered = sorted(items, key=lambda item: (item[0].service, item[0].ordinal, item[2], item[1]))
    return {
        desired.name: _placed_instance(fleet, desired, host, launch, taken_by_host[host], endpoints, facts, commit)
        for desired, host, launch in ordered
    }


def taken_ports(live_state: LiveState, host: str) -> frozenset[int]:
    """The ports of a host that somebody holds: others by their claims, this fleet by its records."""
    survey = live_state.get(host)
    if not isinstance(survey, Survey):
        return frozenset()
    claimed = {claim.port for claim in survey.claims if claim.kind == "port"}
    return frozenset(claimed.union(int(forward["host"]) for live in survey.instances for forward in live.forwards))


def published_ports(fleet: Fleet) -> frozenset[int]:
    """Ports an ingress of this fleet takes, now or after its next change: a forward there would bar it."""
    return frozenset(publish.port for service in fleet.services.values() for publish in service.publish)


def _placed_instance(
    fleet: Fleet,
    desired: DesiredInstance,
    host: str,
    launch: int,
    taken: set[int],
    endpoints: Mapping[str, int],
    facts: FleetFacts,
    commit: str,
) -> PlacedInstance:
    generation_id = generation(desired.fingerprint, launch)
    forwards = tuple(_choose_forwards(fleet, desired, host, generation_id, taken))
    resolved = resolve_references(fleet, desired, host, endpoints)
    launch_data = launch_document(fleet, desired, launch, forwards, resolved, facts, commit=commit)
    return PlacedInstance(
        desired=desired,
        host=host,
        launch=launch,
        generation=generation_id,
        forwards=tuple(launch_data["run"]["forwards"]),
        resolved=resolved,
        document=launch_data,
    )


def _choose_forwards(
    fleet: Fleet, desired: DesiredInstance, host: str, generation_id: str, taken: set[int]
) -> Iterator[Forward]:
    """A forward for each port; ``taken`` grows by what is taken."""
    bind = bind_address(fleet, host)
    for port in desired.ports:
        number = _free_port(f"{fleet.owner}/{desired.name}.{generation_id}/{port.name}", taken)
        if number is None:
            raise ValueError(
                f"{host} has no port left between {FORWARD_PORTS[0]} and {FORWARD_PORTS[-1]} for {desired.name}"
            )
        taken.add(number)
        yield Forward(name=port.name, guest=port.number, host=number, bind=bind, udp=port.udp)


def bind_address(fleet: Fleet, host: str) -> str:
    """Where forwards of a host listen: loopback where it is the only host, else where the others reach it."""
    return (fleet.hosts[host].address if len(fleet.hosts) > 1 else "") or LOOPBACK


def _free_port(label: str, taken: set[int]) -> int | None:
    offset = int.from_bytes(sha256(label.encode()).digest()[:8], "big") % len(FORWARD_PORTS)
    numbers = (FORWARD_PORTS[(offset + step) % len(FORWARD_PORTS)] for step in range(len(FORWARD_PORTS)))
    return next((number for number in numbers if number not in taken), None)
