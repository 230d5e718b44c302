"""What a fleet file may declare and unictl does not implement yet: reported with its place, never ignored. Pure.

One line for each feature: delete the line when the feature is implemented.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from unictl.diagnostics.finding import Finding, Findings
from unictl.diagnostics.place import Path
from unictl.fleet.model import Fleet, Image, Network, Notify, Policy, Publish, Secret, Service, Volume

GUESTS = ("", "plain", "linux", "unikraft")
HYPERVISORS = ("", "qemu")
Asks = Callable[[Any], object]


def _udp(service: Service) -> bool:
    return any(port.udp for port in service.ports)


# Key of a value, whether the value asks for it, and what that is called.
_NETWORK: Mapping[str, tuple[Asks, str]] = {
    "mode": (lambda network: network.mode != "user", "networks other than user networks"),
}
_IMAGE: Mapping[str, tuple[Asks, str]] = {
    "guest": (lambda image: image.guest not in GUESTS, "this guest family"),
    "oci": (lambda image: image.oci, "images from registries"),
    "build": (lambda image: image.build, "building images"),
}
_VOLUME: Mapping[str, tuple[Asks, str]] = {
    "snapshot": (lambda volume: volume.snapshot, "snapshots of volumes"),
}
_SECRET: Mapping[str, tuple[Asks, str]] = {
    "command": (lambda secret: secret.command, "secrets from commands"),
    "visible_on_host": (lambda secret: secret.visible_on_host, "secrets that the host may see"),
}
_SERVICE: Mapping[str, tuple[Asks, str]] = {
    "hypervisor": (lambda service: service.hypervisor not in HYPERVISORS, "this hypervisor"),
    "files": (lambda service: service.files, "files put into guests"),
    "ports": (_udp, "UDP ports"),
    "activation": (lambda service: service.activation, "activation on request"),
}
_PUBLISH: Mapping[str, tuple[Asks, str]] = {
    "host": (lambda publish: publish.host, "publishing by host name"),
    "sni": (lambda publish: publish.sni, "publishing by SNI"),
    "tls": (lambda publish: publish.tls, "ending TLS at the ingress"),
}
_POLICY: Mapping[str, tuple[Asks, str]] = {
    "signed": (lambda policy: policy.signed_commits or policy.signed_images, "signatures"),
}

Value = Network | Image | Volume | Secret | Service | Publish | Policy | Notify


def _asked(value: Value, path: Path, table: Mapping[str, tuple[Asks, str]]) -> Iterator[Finding]:
    for key, (asks, what) in table.items():
        if asks(value):
            yield _not_yet((*path, key), what)


def _not_yet(path: Path, what: str, *, about_key: bool = False) -> Finding:
    text = f"{what}: not supported yet"
    hint = "Take it away until a later version can do it."
    return Finding(path=path, code="not-supported-yet", text=text, hint=hint, about_key=about_key)


def unsupported(fleet: Fleet) -> Findings:
    """Every key that is set to something unictl cannot do yet."""
    return tuple(_unsupported(fleet))


def _unsupported(fleet: Fleet) -> Iterator[Finding]:
    sections: tuple[tuple[str, Mapping[str, Any], Mapping[str, tuple[Asks, str]]], ...] = (
        ("networks", fleet.networks, _NETWORK),
        ("images", fleet.images, _IMAGE),
        ("volumes", fleet.volumes, _VOLUME),
        ("secrets", fleet.secrets, _SECRET),
        ("services", fleet.services, _SERVICE),
    )
    for section, values, table in sections:
        for name in sorted(values):
            yield from _asked(values[name], (section, name), table)
    for service in fleet.services.values():
        for index, publish in enumerate(service.publish):
            yield from _asked(publish, ("services", service.name, "publish", index), _PUBLISH)
    yield from _asked(fleet.policy, ("policy",), _POLICY)
    if fleet.notify:
        yield _not_yet(("notify",), "notifications", about_key=True)
