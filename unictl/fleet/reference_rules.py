"""Rules for names that refer to something else in the fleet: it must exist, be unique, and form no dependency
cycle. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from unictl.diagnostics import finding
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path
from unictl.fleet.model import Fleet, Service
from unictl.fleet.names import closest, listed, there_are
from unictl.fleet.references import Reference, Text, references


def names(fleet: Fleet) -> Iterator[Finding]:
    """Every name that refers to an image, network, volume, secret, host or service."""
    if fleet.default_network not in (*fleet.networks, "user"):
        yield unknown_name(("default_network",), "network", fleet.default_network, fleet.networks)
    for volume in fleet.volumes.values():
        if volume.host and volume.host not in fleet.hosts:
            yield unknown_name(("volumes", volume.name, "host"), "host", volume.host, fleet.hosts)
    for service in fleet.services.values():
        yield from _of_service(fleet, service)
        yield from _texts(fleet, service)


def _of_service(fleet: Fleet, service: Service) -> Iterator[Finding]:
    path: Path = ("services", service.name)
    if service.image and service.image not in fleet.images:
        yield unknown_name((*path, "image"), "image", service.image, fleet.images)
    for index, network in enumerate(service.network):
        if network not in fleet.networks and network != fleet.default_network:
            yield unknown_name((*path, "network", index), "network", network, fleet.networks)
    for device, volume in service.volumes.items():
        if volume not in fleet.volumes:
            yield unknown_name((*path, "volumes", device), "volume", volume, fleet.volumes)
    for file in service.files:
        if file.secret and file.secret not in fleet.secrets:
            yield unknown_name((*path, "files", file.path, "secret"), "secret", file.secret, fleet.secrets)
    for index, publish in enumerate(service.publish):
        if publish.tls and publish.tls not in fleet.secrets:
            yield unknown_name((*path, "publish", index, "tls"), "secret", publish.tls, fleet.secrets)
    yield from _others(fleet, service, (*path, "needs"), service.needs, "needs itself")
    apart = (*path, "placement", "apart_from")
    yield from _others(fleet, service, apart, service.placement.apart_from, "cannot stand apart from itself")


def _others(fleet: Fleet, service: Service, path: Path, wanted: tuple[str, ...], itself: str) -> Iterator[Finding]:
    for index, name in enumerate(wanted):
        if name == service.name:
            hint = "`spread: host` keeps replicas apart." if "apart" in itself else "Take it away."
            text = f"the service {name!r} {itself}"
            yield Finding(path=(*path, index), code="needs-itself", text=text, hint=hint)
        elif name not in fleet.services:
            yield unknown_name((*path, index), "service", name, fleet.services)


def _texts(fleet: Fleet, service: Service) -> Iterator[Finding]:
    path: Path = ("services", service.name)
    args = (((*path, "args", index), text) for index, text in enumerate(service.args))
    environment = (((*path, "environment", key), text) for key, text in service.environment.items())
    every: Iterator[tuple[Path, Text]] = chain(args, environment)
    for where, text in every:
        for reference in references(text):
            yield from _reference(fleet, where, reference)


def _reference(fleet: Fleet, path: Path, reference: Reference) -> Iterator[Finding]:
    if reference.kind == "secret" and reference.name not in fleet.secrets:
        yield unknown_name(path, "secret", reference.name, fleet.secrets)
    if reference.kind != "service":
        return
    name, _, port = reference.name.partition(".")
    service = fleet.services.get(name)
    if service is None:
        yield unknown_name(path, "service", name, fleet.services)
    elif port not in (known := [each.name for each in service.ports]):
        near = closest(port, known)
        there = f"Its ports: {listed(known)}." if known else f"Give {name} `ports`, such as {{{port}: 8080}}."
        yield Finding(
            path=path,
            code="unknown-port",
            text=f"the service {name!r} has no port {port!r}",
            hint=f"Did you mean {near}?" if near else there,
            relies=(("services", name, "ports"),),
        )


def circles(fleet: Fleet) -> Iterator[Finding]:
    """Services that need each other in a circle; each circle is told once, with its members."""
    done: set[str] = set()
    for name in sorted(fleet.services):
        circle = _circle(fleet.services, name, done)
        if circle:
            first, second = circle[0], circle[1]
            index = fleet.services[first].needs.index(second)
            yield Finding(
                path=("services", first, "needs", index),
                code="needs-circle",
                text=f"services that need each other in a circle: {' -> '.join(circle)}",
                hint="None of them could start first. Take one of the `needs` away.",
                related=tuple(("services", member, "needs") for member in circle[1:-1]),
            )


def _circle(services: Mapping[str, Service], start: str, done: set[str]) -> list[str]:
    """The first circle reachable from ``start`` that was not told, closed; without recursion, whatever the depth."""
    trail: list[str] = [start] if start not in done else []
    pending = {start: iter(sorted({*services[start].needs} - {start}))}
    while trail:
        following = next(pending[trail[-1]], None)
        if following is None:
            done.add(trail.pop())
        elif following in trail:
            circle = trail[trail.index(following) :]
            done.update(trail)
            least = circle.index(min(circle))
            return [*circle[least:], *circle[:least], circle[least]]
        elif following in services and following not in done:
            trail.append(following)
            pending[following] = iter(sorted({*services[following].needs} - {following}))
    return []


def former_names(fleet: Fleet) -> Iterator[Finding]:
    """``was`` names something that is gone, and only once."""
    if fleet.was and fleet.was == fleet.name:
        yield Finding(
            path=("fleet", "was"), code="was-itself", text="`was` names the fleet itself", hint="Take it away."
        )
    heirs: dict[str, str] = {}
    for name, service in sorted(fleet.services.items()):
        path: Path = ("services", name, "was")
        if service.was in fleet.services:
            itself = service.was == name
            said = "names the service itself" if itself else f"names {service.was!r}, which is still a service"
            hint = "Take it away." if itself else f"Take {service.was!r} out of the fleet, or take `was` away."
            yield Finding(path=path, code="was-exists", text=f"`was` {said}", hint=hint)
        elif service.was and service.was in heirs:
            text = f"{service.was!r} cannot become both {heirs[service.was]!r} and {name!r}"
            other: Path = ("services", heirs[service.was], "was")
            yield Finding(path=path, code="was-twice", text=text, hint="Keep `was` at one of them.", related=(other,))
        heirs.setdefault(service.was, name)


def volume_owners(fleet: Fleet) -> Iterator[Finding]:
    """A volume belongs to one device of one service."""
    owners: dict[str, Path] = {}
    for name, service in sorted(fleet.services.items()):
        for device, volume in service.volumes.items():
            path: Path = ("services", name, "volumes", device)
            if volume in owners:
                owner = owners[volume][1]
                whose = f"another device of {name!r}" if owner == name else f"the service {owner!r}"
                yield Finding(
                    path=path,
                    code="volume-shared",
                    text=f"the volume {volume!r} belongs to {whose} already",
                    hint="Volumes are never shared: declare another. Replicas of one service get one each.",
                    related=(owners[volume],),
                )
            owners.setdefault(volume, path)
    for name in sorted(fleet.volumes):
        base, _, ordinal = name.rpartition("-")
        if base in owners and ordinal.isdecimal():
            yield Finding(
                path=("volumes", name),
                code="volume-shared",
                text=f"{name!r} is also the name of a replica's copy of the volume {base!r}",
                hint="Rename it.",
                about_key=True,
                related=(("volumes", base),),
            )


def unknown_name(path: Path, what: str, name: str, known: Iterable[str], *, among: str = "") -> finding.Finding:
    """There is no ``what`` called ``name``; the nearest of ``known``, or what there is, as hint."""
    known = tuple(known)
    near = closest(name, known)
    hint = f"Did you mean {near}?" if near else there_are(known) or f"No {what} is declared."
    section = among or f"{what}s"
    return finding.Finding(
        path=path, code=f"unknown-{what}", text=f"there is no {what} {name!r}", hint=hint, among=section
    )
