"""Checks every service against its guest family and hypervisor before any host is asked. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from unictl.diagnostics.finding import Finding, Findings
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Fleet, Image, Service
from unictl.fleet.names import closest_match, join_names
from unictl.fleet.unsupported import SupportedNames, find_unsupported
from unictl.guests.command_words import check_reserved_tokens, check_written_length
from unictl.guests.families import FAMILIES
from unictl.guests.family import PartFacts
from unictl.hypervisors.drivers import DRIVERS
from unictl.hypervisors.launch import SHARED_TOKENS
from unictl.hypervisors.network_engines import ENGINES
from unictl.instances.desired.instance import desired_instances, hypervisor_for
from unictl.instances.desired.networks import guest_addresses, networks_of
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.launch.addresses import resolve_references
from unictl.instances.launch.document import build_boot, driver_for, machine_for


def check_launches(fleet: Fleet, facts: FleetFacts) -> tuple[Finding, ...]:
    """Everything that speaks against launching, each once, by service; images without facts, or without those of one
    of their files, are passed over.

    KeyError where a text refers to a port that no service has: the fleet's own rules say that first.
    """
    findings = (
        finding for name in sorted(fleet.services) for finding in _check_service(fleet, fleet.services[name], facts)
    )
    # Two services of one image would say twice what is wrong with it.
    return tuple(dict.fromkeys(findings))


def check_features(fleet: Fleet) -> Findings:
    """Every key of the fleet that is set to something there is no support for yet, by the tables of drivers."""
    supported = SupportedNames(guests=FAMILIES, hypervisors=DRIVERS, network_modes=ENGINES)
    return find_unsupported(fleet, supported)


def _check_service(fleet: Fleet, service: Service, facts: FleetFacts) -> Iterator[Finding]:
    image = fleet.images.get(service.image)
    if image is None or image.name not in facts or not _image_parts(image) <= set(facts[image.name]):
        return
    findings = [
        *_check_hypervisor(service),
        *_check_networks(fleet, service),
        *_check_family(service, image, facts[image.name]),
        *_check_command_texts(service),
    ]
    yield from findings or _check_resolved_launch(fleet, service, facts)


def _image_parts(image: Image) -> set[str]:
    """The files that it names; one without facts was told of by whoever looked for it."""
    return {part for part in ("kernel", "initrd", "disk") if getattr(image, part) is not None}


def _check_family(service: Service, image: Image, facts: PartFacts) -> Iterator[Finding]:
    family = FAMILIES.get(image.guest)
    if family is None:
        yield _unsupported(("images", image.name, "guest"), "guest", image.guest, FAMILIES)
        return
    yield from family.preflight(service, image, facts, machine_for(service, family))


def _check_hypervisor(service: Service) -> Iterator[Finding]:
    name = hypervisor_for(service)
    if name not in DRIVERS:
        yield _unsupported(("services", service.name, "hypervisor"), "hypervisor", name, DRIVERS)


def _check_command_texts(service: Service) -> Iterator[Finding]:
    driver = DRIVERS.get(hypervisor_for(service))
    # Without a driver nothing is known of its launch documents.
    if driver is None:
        return
    yield from check_reserved_tokens(service, (*driver.tokens, *SHARED_TOKENS))
    yield from check_written_length(service, driver.line_limit)


def _check_networks(fleet: Fleet, service: Service) -> Iterator[Finding]:
    for network in networks_of(fleet, service):
        try:
            guest_addresses(network)
        except ValueError as error:
            key = "mode" if network.mode != "user" else "subnet"
            hint = "write mode: user and a subnet such as 10.0.2.0/24"
            yield Finding(
                path=("networks", network.name, key), code="network-not-supported", summary=str(error), hint=hint
            )


def _check_resolved_launch(fleet: Fleet, service: Service, facts: FleetFacts) -> Iterator[Finding]:
    """What only shows once references are resolved, on the replica and host with the longest names there can be."""
    endpoints = {f"{item.name}.{port.name}": 65535 for item in fleet.services.values() for port in item.ports}
    desired = desired_instances(replace(fleet, services={service.name: service}), facts)[-1:]
    host = max(sorted(fleet.hosts), key=len, default="")
    family = FAMILIES[fleet.images[service.image].guest]
    for item in desired:
        guest_boot = build_boot(fleet, item, "0" * 8, resolve_references(fleet, item, host, endpoints))
        yield from driver_for(service).refusals(family, facts[service.image], guest_boot)


def _unsupported(path: DocumentPath, kind: str, name: str, supported: Collection[str]) -> Finding:
    suggestion = closest_match(name, supported)
    hint = f"did you mean {suggestion}?" if suggestion else f"this unictl runs {join_names(supported)}"
    summary = f"{kind} {name!r} is not supported yet"
    return Finding(path=path, code=f"{kind}-not-supported", summary=summary, hint=hint)
