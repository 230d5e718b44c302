"""What a fleet file may declare and unictl does not implement yet: reported with its place, never ignored. Pure.

One line for each feature: delete the line when the feature is implemented. Which guest families, hypervisors and
network modes there are, their tables say, which the caller hands in.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unictl.diagnostics.finding import Finding, Findings
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Fleet, Image, Network, Notification, Policy, Publication, Secret, Service, Volume

FeatureTest = Callable[[Any], object]
FeatureTable = Mapping[str, tuple[FeatureTest, str]]
"""Key of a value -> whether the value asks for it, and what that is called."""


def _uses_udp(service: Service) -> bool:
    return any(port.udp for port in service.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportedNames:
    """What the drivers' tables hold."""

    # Values of an image's `guest:`.
    guests: Collection[str]
    # Values of a service's `hypervisor:`.
    hypervisors: Collection[str]
    # Values of a network's `mode:`.
    network_modes: Collection[str]


_IMAGE: FeatureTable = {
    "oci": (lambda image: image.oci, "images from registries"),
    "build": (lambda image: image.build, "building images"),
}
_VOLUME: FeatureTable = {
    "snapshot": (lambda volume: volume.snapshot, "snapshots of volumes"),
}
_SECRET: FeatureTable = {
    "command": (lambda secret: secret.command, "secrets from commands"),
    "visible_on_host": (lambda secret: secret.visible_on_host, "secrets that the host may see"),
}
_SERVICE: FeatureTable = {
    "files": (lambda service: service.files, "files put into guests"),
    "ports": (_uses_udp, "UDP ports"),
    "activation": (lambda service: service.activation, "activation on request"),
}
_PUBLISH: FeatureTable = {
    "host": (lambda publish: publish.host, "publishing by host name"),
    "sni": (lambda publish: publish.sni, "publishing by SNI"),
    "tls": (lambda publish: publish.tls, "ending TLS at the ingress"),
}
_POLICY: FeatureTable = {
    "signed": (lambda policy: policy.signed_commits or policy.signed_images, "signatures"),
}

Declaration = Network | Image | Volume | Secret | Service | Publication | Policy | Notification


def _check_features(value: Declaration, path: DocumentPath, table: FeatureTable) -> Iterator[Finding]:
    for key, (uses_feature, feature) in table.items():
        if uses_feature(value):
            yield _not_supported((*path, key), feature)


def _not_supported(path: DocumentPath, feature: str, *, about_key: bool = False) -> Finding:
    text = f"{feature}: not supported yet"
    hint = "Take it away until a later version can do it."
    return Finding(path=path, code="not-supported-yet", summary=text, hint=hint, at_key=about_key)


def find_unsupported(fleet: Fleet, supported: SupportedNames) -> Findings:
    """Every key that is set to something unictl cannot do yet."""
    return tuple(_unsupported_findings(fleet, supported))


def _unsupported_findings(fleet: Fleet, supported: SupportedNames) -> Iterator[Finding]:
    def lacks_engine(network: Network) -> bool:
        return network.mode not in supported.network_modes

    def lacks_family(image: Image) -> bool:
        return bool(image.guest) and image.guest not in supported.guests

    def lacks_driver(service: Service) -> bool:
        return bool(service.hypervisor) and service.hypervisor not in supported.hypervisors

    sections: tuple[tuple[str, Mapping[str, Declaration], FeatureTable], ...] = (
        ("networks", fleet.networks, {"mode": (lacks_engine, "networks other than user networks")}),
        ("images", fleet.images, {"guest": (lacks_family, "this guest family"), **_IMAGE}),
        ("volumes", fleet.volumes, _VOLUME),
        ("secrets", fleet.secrets, _SECRET),
        ("services", fleet.services, {"hypervisor": (lacks_driver, "this hypervisor"), **_SERVICE}),
    )
    for section, values, table in sections:
        for name in sorted(values):
            yield from _check_features(values[name], (section, name), table)
    for service in fleet.services.values():
        for index, publish in enumerate(service.publish):
            yield from _check_features(publish, ("services", service.name, "publish", index), _PUBLISH)
    yield from _check_features(fleet.policy, ("policy",), _POLICY)
    if fleet.notify:
        yield _not_supported(("notify",), "notifications", about_key=True)
