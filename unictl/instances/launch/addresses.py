"""The addresses of instances: what references resolve to on a host, and which of its ports forward. Pure.

Ports are chosen by hash, so that two plans of one state agree, and probed past everything that is taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from unictl.fleet.model import Fleet
from unictl.fleet.references import Reference
from unictl.hypervisors.launch import Forward
from unictl.hypervisors.network import UserNetwork
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import Located, Wished
from unictl.instances.desired.networks import networks_of, seen
from unictl.instances.desired.spec import FleetFacts, used
from unictl.instances.launch.document import document
from unictl.instances.observed.host_state import Survey, World

FORWARDS = range(10_000, 20_000)
"""The host ports that forwards are taken from."""

LOOPBACK = "127.0.0.1"


def resolve(fleet: Fleet, wished: Wished, host: str, endpoints: Mapping[str, int]) -> Mapping[str, str]:
    """What the references of an instance mean on ``host``, by name: ``service.counter.http`` -> ``10.0.2.2:20000``.

    Only those its texts use; secrets are none of them. KeyError where ``endpoints`` lack a port.
    """
    found = {f"{r.kind}.{r.name}": r for r in sorted(used(fleet.services[wished.service]))}
    meant = {key: _meaning(fleet, wished, host, reference, endpoints) for key, reference in found.items()}
    return {key: value for key, value in meant.items() if value is not None}


def _meaning(fleet: Fleet, wished: Wished, host: str, reference: Reference, endpoints: Mapping[str, int]) -> str | None:
    match (reference.kind, reference.name):
        case ("service", name):
            return f"{_network(fleet, wished).gateway}:{endpoints[name]}"
        case ("instance", "address"):
            return _network(fleet, wished).address.partition("/")[0]
        case ("instance", "name"):
            return wished.name
        case ("instance", "ordinal"):
            return str(wished.ordinal)
        case ("host", "name"):
            return host
        case _:
            return None


def _network(fleet: Fleet, wished: Wished) -> UserNetwork:
    # The first: its gateway is the one that a guest's default route leads to.
    return seen(networks_of(fleet, fleet.services[wished.service])[0])


def locate(
    fleet: Fleet,
    items: Sequence[tuple[Wished, str, int]],
    world: World,
    endpoints: Mapping[str, int],
    facts: FleetFacts,
    *,
    commit: str = "",
) -> Mapping[str, Located]:
    """Everything decided for (instance, host, launch number), by instance name; the order of ``items`` never matters.

    ``commit`` is what the launch documents name as their origin. ValueError where a host has no port left.
    """
    own = frozenset(endpoints.values()) | own_ports(fleet)
    held = {host: {*own, *taken_ports(world, host)} for host in {host for _, host, _ in items}}
    ordered = sorted(items, key=lambda item: (item[0].service, item[0].ordinal, item[2], item[1]))
    return {
        wished.name: _located(fleet, wished, host, launch, held[host], endpoints, facts, commit)
        for wished, host, launch in ordered
    }


def taken_ports(world: World, host: str) -> frozenset[int]:
    """The ports of a host that somebody holds: others by their claims, this fleet by its records."""
    said = world.get(host)
    if not isinstance(said, Survey):
        return frozenset()
    claimed = {claim.port for claim in said.claims if claim.kind == "port"}
    return frozenset(claimed.union(int(f["host"]) for live in said.instances for f in live.forwards))


def own_ports(fleet: Fleet) -> frozenset[int]:
    """Ports an ingress of this fleet takes, now or after its next change: a forward there would bar it."""
    return frozenset(publish.port for service in fleet.services.values() for publish in service.publish)


def _located(
    fleet: Fleet,
    wished: Wished,
    host: str,
    launch: int,
    held: set[int],
    endpoints: Mapping[str, int],
    facts: FleetFacts,
    commit: str,
) -> Located:
    named = generation(wished.fingerprint, launch)
    forwards = tuple(_forwards(fleet, wished, host, named, held))
    resolved = resolve(fleet, wished, host, endpoints)
    launched = document(fleet, wished, launch, forwards, resolved, facts, commit=commit)
    return Located(
        wished=wished,
        host=host,
        launch=launch,
        generation=named,
        forwards=tuple(launched["run"]["forwards"]),
        resolved=resolved,
        document=launched,
    )


def _forwards(fleet: Fleet, wished: Wished, host: str, named: str, held: set[int]) -> Iterator[Forward]:
    """A forward for each port; ``held`` grows by what is taken."""
    bind = bind_address(fleet, host)
    for port in wished.ports:
        number = _free(f"{fleet.owner}/{wished.name}.{named}/{port.name}", held)
        if number is None:
            raise ValueError(f"{host} has no port left between {FORWARDS[0]} and {FORWARDS[-1]} for {wished.name}")
        held.add(number)
        yield Forward(name=port.name, guest=port.number, host=number, bind=bind, udp=port.udp)


def bind_address(fleet: Fleet, host: str) -> str:
    """Where forwards of a host listen: loopback where it is the only host, else where the others reach it."""
    return (fleet.hosts[host].address if len(fleet.hosts) > 1 else "") or LOOPBACK


def _free(what: str, held: set[int]) -> int | None:
    start = int.from_bytes(sha256(what.encode()).digest()[:8], "big") % len(FORWARDS)
    numbers = (FORWARDS[(start + step) % len(FORWARDS)] for step in range(len(FORWARDS)))
    return next((number for number in numbers if number not in held), None)
