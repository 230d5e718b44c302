"""Checks every service against its guest family and hypervisor before any host is asked. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from unictl.diagnostics.place import Path
from unictl.fleet.model import Fleet, Image, Service
from unictl.fleet.names import closest, listed
from unictl.guests.families import FAMILIES
from unictl.guests.family import Facts
from unictl.hypervisors.drivers import DRIVERS
from unictl.instances.desired.instance import hypervisor_of, wish
from unictl.instances.desired.networks import networks_of, seen
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.launch.addresses import resolve
from unictl.instances.launch.document import boot, driver_of, machine_of

Row = tuple[Path, str, str, str]
"""(path in the fleet, stable code, one sentence, what to do next)."""


def preflight(fleet: Fleet, facts: FleetFacts) -> tuple[Row, ...]:
    """Everything that speaks against launching, each once, by service; images without facts, or without those of one
    of their files, are passed over.

    KeyError where a text refers to a port that no service has: the fleet's own rules say that first.
    """
    rows = (row for name in sorted(fleet.services) for row in _service(fleet, fleet.services[name], facts))
    # Two services of one image would say twice what is wrong with it.
    return tuple(dict.fromkeys(rows))


def _service(fleet: Fleet, service: Service, facts: FleetFacts) -> Iterator[Row]:
    image = fleet.images.get(service.image)
    if image is None or image.name not in facts or not _parts(image) <= set(facts[image.name]):
        return
    found = [
        *_hypervisor(service),
        *_networks(fleet, service),
        *_family(service, image, facts[image.name]),
    ]
    yield from found or _launch(fleet, service, facts)


def _parts(image: Image) -> set[str]:
    """The files that it names; one without facts was told of by whoever looked for it."""
    return {part for part in ("kernel", "initrd", "disk") if getattr(image, part) is not None}


def _family(service: Service, image: Image, facts: Facts) -> Iterator[Row]:
    family = FAMILIES.get(image.guest)
    if family is None:
        yield _unsupported(("images", image.name, "guest"), "guest", image.guest, FAMILIES)
        return
    for found in family.preflight(service, image, facts, machine_of(service, family)):
        yield found.key, found.code, found.summary, found.hint


def _hypervisor(service: Service) -> Iterator[Row]:
    name = hypervisor_of(service)
    if name not in DRIVERS:
        yield _unsupported(("services", service.name, "hypervisor"), "hypervisor", name, DRIVERS)


def _networks(fleet: Fleet, service: Service) -> Iterator[Row]:
    for network in networks_of(fleet, service):
        try:
            seen(network)
        except ValueError as error:
            key = "mode" if network.mode != "user" else "subnet"
            hint = "write mode: user and a subnet such as 10.0.2.0/24"
            yield ("networks", network.name, key), "network-not-supported", str(error), hint


def _launch(fleet: Fleet, service: Service, facts: FleetFacts) -> Iterator[Row]:
    """What only shows once references are resolved, on the replica and host with the longest names there can be."""
    endpoints = {f"{each.name}.{port.name}": 65535 for each in fleet.services.values() for port in each.ports}
    wished = wish(replace(fleet, services={service.name: service}), facts)[-1:]
    host = max(sorted(fleet.hosts), key=len, default="")
    family = FAMILIES[fleet.images[service.image].guest]
    for each in wished:
        handed = boot(fleet, each, "0" * 8, resolve(fleet, each, host, endpoints))
        for found in driver_of(service).refusals(family, facts[service.image], handed):
            yield found.key, found.code, found.summary, found.hint


def _unsupported(path: Path, kind: str, name: str, known: Collection[str]) -> Row:
    meant = closest(name, known)
    hint = f"did you mean {meant}?" if meant else f"this unictl runs {listed(known)}"
    return path, f"{kind}-not-supported", f"{kind} {name!r} is not supported yet", hint
