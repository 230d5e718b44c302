"""Rules for names that refer to something else in the fleet: it must exist, be unique, and form no dependency
cycle. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from unictl.diagnostics import finding
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Fleet, Service
from unictl.fleet.names import closest_match, describe_existing, join_names
from unictl.fleet.references import Reference, Text, find_references


def check_names(fleet: Fleet) -> Iterator[Finding]:
    """Every name that refers to an image, network, volume, secret, host or service."""
    if fleet.default_network not in (*fleet.networks, "user"):
        yield unknown_name(("default_network",), "network", fleet.default_network, fleet.networks)
    for volume in fleet.volumes.values():
        if volume.host and volume.host not in fleet.hosts:
            yield unknown_name(("volumes", volume.name, "host"), "host", volume.host, fleet.hosts)
    for service in fleet.services.values():
        yield from _check_service_names(fleet, service)
        yield from _check_texts(fleet, service)


def _check_service_names(fleet: Fleet, service: Service) -> Iterator[Finding]:
    path: DocumentPath = ("services", service.name)
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
    yield from _check_other_services(fleet, service, (*path, "needs"), service.needs, "needs itself")
    apart = (*path, "placement", "apart_from")
    yield from _check_other_services(
        fleet, service, apart, service.placement.apart_from, "cannot stand apart from itself"
    )


def _check_other_services(
    fleet: Fleet, service: Service, path: DocumentPath, service_names: tuple[str, ...], self_reference_text: str
) -> Iterator[Finding]:
    for index, name in enumerate(service_names):
        if name == service.name:
            hint = "`spread: host` keeps replicas apart." if "apart" in self_reference_text else "Take it away."
            text = f"the service {name!r} {self_reference_text}"
            yield Finding(path=(*path, index), code="needs-itself", summary=text, hint=hint)
        elif name not in fleet.services:
            yield unknown_name((*path, index), "service", name, fleet.services)


def _check_texts(fleet: Fleet, service: Service) -> Iterator[Finding]:
    path: DocumentPath = ("services", service.name)
    args = (((*path, "args", index), text) for index, text in enumerate(service.args))
    environment = (((*path, "environment", key), text) for key, text in service.environment.items())
    all_texts: Iterator[tuple[DocumentPath, Text]] = chain(args, environment)
    for text_path, text in all_texts:
        for reference in find_references(text):
            yield from _check_reference(fleet, text_path, reference)


def _check_reference(fleet: Fleet, path: DocumentPath, reference: Reference) -> Iterator[Finding]:
    if reference.kind == "secret" and reference.name not in fleet.secrets:
        yield unknown_name(path, "secret", reference.name, fleet.secrets)
    if reference.kind != "service":
        return
    name, _, port = reference.name.partition(".")
    service = fleet.services.get(name)
    if service is None:
        yield unknown_name(path, "service", name, fleet.services)
    elif port not in (port_names := [service_port.name for service_port in service.ports]):
        suggestion = closest_match(port, port_names)
        alternative = (
            f"Its ports: {join_names(port_names)}." if port_names else f"Give {name} `ports`, such as {{{port}: 8080}}."
        )
        yield Finding(
            path=path,
            code="unknown-port",
            summary=f"the service {name!r} has no port {port!r}",
            hint=f"Did you mean {suggestion}?" if suggestion else alternative,
            depends_on=(("services", name, "ports"),),
        )


def check_cycles(fleet: Fleet) -> Iterator[Finding]:
    """Services that need each other in a circle; each circle is told once, with its members."""
    visited: set[str] = set()
    for name in sorted(fleet.services):
        cycle = _find_cycle(fleet.services, name, visited)
        if cycle:
            first, second = cycle[0], cycle[1]
            index = fleet.services[first].needs.index(second)
            yield Finding(
                path=("services", first, "needs", index),
                code="needs-circle",
                summary=f"services that need each other in a circle: {' -> '.join(cycle)}",
                hint="None of them could start first. Take one of the `needs` away.",
                related=tuple(("services", member, "needs") for member in cycle[1:-1]),
            )


def _find_cycle(services: Mapping[str, Service], start: str, visited: set[str]) -> list[str]:
    """The first circle reachable from ``start`` that was not told, closed; without recursion, whatever the depth."""
    trail: list[str] = [start] if start not in visited else []
    pending = {start: iter(sorted({*services[start].needs} - {start}))}
    while trail:
        following = next(pending[trail[-1]], None)
        if following is None:
            visited.add(trail.pop())
        elif following in trail:
            cycle = trail[trail.index(following) :]
            visited.update(trail)
            start_index = cycle.index(min(cycle))
            return [*cycle[start_index:], *cycle[:start_index], cycle[start_index]]
        elif following in services and following not in visited:
            trail.append(following)
            pending[following] = iter(sorted({*services[following].needs} - {following}))
    return []


def check_former_names(fleet: Fleet) -> Iterator[Finding]:
    """``was`` names something that is gone, and only once."""
    if fleet.was and fleet.was == fleet.name:
        yield Finding(
            path=("fleet", "was"), code="was-itself", summary="`was` names the fleet itself", hint="Take it away."
        )
    new_names: dict[str, str] = {}
    for name, service in sorted(fleet.services.items()):
        path: DocumentPath = ("services", name, "was")
        if service.was in fleet.services:
            itself = service.was == name
            complaint = "names the service itself" if itself else f"names {service.was!r}, which is still a service"
            hint = "Take it away." if itself else f"Take {service.was!r} out of the fleet, or take `was` away."
            yield Finding(path=path, code="was-exists", summary=f"`was` {complaint}", hint=hint)
        elif service.was and service.was in new_names:
            text = f"{service.was!r} cannot become both {new_names[service.was]!r} and {name!r}"
            other_path: DocumentPath = ("services", new_names[service.was], "was")
            yield Finding(
                path=path, code="was-twice", summary=text, hint="Keep `was` at one of them.", related=(other_path,)
            )
        new_names.setdefault(service.was, name)


def check_volume_owners(fleet: Fleet) -> Iterator[Finding]:
    """A volume belongs to one device of one service."""
    owners: dict[str, DocumentPath] = {}
    for name, service in sorted(fleet.services.items()):
        for device, volume in service.volumes.items():
            path: DocumentPath = ("services", name, "volumes", device)
            if volume in owners:
                owner = owners[volume][1]
                owner_text = f"another device of {name!r}" if owner == name else f"the service {owner!r}"
                yield Finding(
                    path=path,
                    code="volume-shared",
                    summary=f"the volume {volume!r} belongs to {owner_text} already",
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
                summary=f"{name!r} is also the name of a replica's copy of the volume {base!r}",
                hint="Rename it.",
                at_key=True,
                related=(("volumes", base),),
            )


def unknown_name(
    path: DocumentPath, noun: str, name: str, candidates: Iterable[str], *, searched_section: str = ""
) -> finding.Finding:
    """There is no ``noun`` called ``name``; the nearest of ``candidates``, or what there is, as hint."""
    candidates = tuple(candidates)
    suggestion = closest_match(name, candidates)
    hint = f"Did you mean {suggestion}?" if suggestion else describe_existing(candidates) or f"No {noun} is declared."
    section = searched_section or f"{noun}s"
    return finding.Finding(
        path=path, code=f"unknown-{noun}", summary=f"there is no {noun} {name!r}", hint=hint, searched_section=section
    )
