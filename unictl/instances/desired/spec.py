"""The canonical launch spec of one instance as plain JSON values: a change of it needs a new generation. Pure.

References to instance, host and service stay symbolic, secrets are name and version, images are digests. So a spec
is a function of fleet file and lock file alone, whatever the hosts report. A field at its default is left out: a
key that a later unictl adds, with a default, changes no fingerprint.
"""

from collections.abc import Iterator, Mapping
from typing import cast

from unictl.fleet.model import MIB, File, Fleet, Image, Network, OnRequestActivation, Port, Service
from unictl.fleet.references import Reference, Text, canonical_text, find_references, substitute_references
from unictl.guests.family import PartFacts
from unictl.instances.desired.networks import default_dns, default_gateway, networks_of
from unictl.instances.launch_record import LaunchSpec, NetworkSpec, OnRequestSpec

FleetFacts = Mapping[str, PartFacts]
"""Facts of all images: name -> part (``kernel``, ``initrd``, ``disk``) -> facts.

What a service's ``files`` take from the repository stands under ``file_key(source)``, part ``content``.
"""


DEFAULTS: LaunchSpec = {
    "kind": "service",
    "hypervisor": "",
    "machine": "",
    "memory": 64 * MIB,
    "cpus": 1,
    "network": [{}],
    "args": [],
    "environment": {},
    "files": {},
    "volumes": {},
    "ports": {},
    "restart": "on-crash",
    "activation": "always",
    "secrets": {},
}
"""What scheme 1 leaves out. Written out here and not read from the model: where the language's default changes, the
new one enters the spec, since something else is launched then."""

NETWORK_DEFAULTS: Mapping[str, str | None] = {
    "mode": "user",
    "subnet": "10.0.2.0/24",
    "bridge": "",
    "vni": None,
    "mtu": None,
}
"""The same for each network; gateway and dns have defaults that follow from mode and subnet."""

_START_TIMEOUT = 5000
_FLEET_NAME = Reference("fleet", "name")


def launch_spec(fleet: Fleet, service: Service, ordinal: int, facts: FleetFacts) -> LaunchSpec:
    """The canonical spec of one replica; KeyError where ``facts`` lack the image or a file."""
    spec: LaunchSpec = {
        "image": image_spec(fleet.images[service.image], facts),
        "kind": service.kind,
        "hypervisor": service.hypervisor,
        "machine": service.machine,
        "memory": service.memory,
        "cpus": service.cpus,
        "network": [network_spec(network) for network in networks_of(fleet, service)],
        "args": [_symbolic_text(fleet, text) for text in service.args],
        "environment": {key: _symbolic_text(fleet, text) for key, text in service.environment.items()},
        "files": {file.path: _file_spec(file, facts) for file in service.files},
        "volumes": volume_names(service, ordinal),
        "ports": {port.name: port_spec(port) for port in service.ports},
        "restart": service.restart,
        "activation": _activation_spec(service.activation),
        "secrets": {name: fleet.secrets[name].version for name in secret_names(service)},
    }
    defaults: Mapping[str, object] = DEFAULTS
    remaining = {key: value for key, value in spec.items() if key not in defaults or value != defaults[key]}
    return cast(LaunchSpec, remaining)


def image_spec(image: Image, facts: FleetFacts) -> dict[str, str]:
    """Family, version where one is named, and the digest of each part; the image's own name is none of the guest's."""
    spec = {"guest": image.guest}
    if image.version:
        spec["version"] = image.version
    return spec | {part: fact.sha256 for part, fact in facts[image.name].items()}


def network_spec(network: Network) -> NetworkSpec:
    """The F fields of a network that are not at their default."""
    defaults = {**NETWORK_DEFAULTS, "gateway": default_gateway(network), "dns": default_dns(network)}
    spec = {key: getattr(network, key) for key in defaults}
    return cast(NetworkSpec, {key: value for key, value in spec.items() if value not in ("", None, defaults[key])})


def volume_names(service: Service, ordinal: int) -> dict[str, str]:
    """Device -> volume; replicas of a service have one each: ``orders-0``, ``orders-1``."""
    suffix = f"-{ordinal}" if service.replicas > 1 else ""
    return {device: volume + suffix for device, volume in service.volumes.items()}


def port_spec(port: Port) -> int | str:
    """A port as the language writes it: ``8080``, ``53/udp``."""
    return f"{port.number}/udp" if port.udp else port.number


def file_key(source: str) -> str:
    """The key of a repository file in FleetFacts; no image can be called so."""
    return f"file:{source}"


def guest_texts(service: Service) -> Iterator[Text]:
    """Every text of a service that reaches its guest."""
    yield from service.args
    yield from service.environment.values()


def used_references(service: Service) -> frozenset[Reference]:
    """The references in a service's texts, each once."""
    return frozenset(reference for text in guest_texts(service) for reference in find_references(text))


def secret_names(service: Service) -> tuple[str, ...]:
    """The secrets that a service's guests are given, sorted."""
    names = {reference.name for reference in used_references(service) if reference.kind == "secret"}
    return tuple(sorted(names | {file.secret for file in service.files if file.secret}))


def _symbolic_text(fleet: Fleet, text: Text) -> str:
    # The fleet's name is the fleet file's own business: it is no fact of a host, so it does not stay a token.
    return canonical_text(
        substitute_references(text, lambda reference: fleet.name if reference == _FLEET_NAME else None)
    )


def _file_spec(file: File, facts: FleetFacts) -> dict[str, str]:
    if file.secret:
        return {"secret": file.secret}
    return {"sha256": facts[file_key(file.source)]["content"].sha256}


def _activation_spec(activation: OnRequestActivation | None) -> str | dict[str, OnRequestSpec]:
    if activation is None:
        return "always"
    request: OnRequestSpec = {"idle": activation.idle}
    if activation.start_timeout != _START_TIMEOUT:
        request["start_timeout"] = activation.start_timeout
    return {"on_request": request}
