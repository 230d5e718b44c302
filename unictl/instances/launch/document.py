"""Renders a placed instance as the launch document that a host takes. Pure; it contains no secret.

References are resolved; a secret stays the token ``{secret:NAME}`` that only the host fills in.
"""

import re
from collections.abc import Mapping, Sequence

from unictl.fleet.model import Fleet, Image, Network, Service
from unictl.fleet.references import Reference, Text
from unictl.guests.families import FAMILIES
from unictl.guests.family import Boot, Disk, GuestFamily, Nic
from unictl.hypervisors.driver import HypervisorDriver
from unictl.hypervisors.drivers import DRIVERS
from unictl.hypervisors.launch import Forward
from unictl.hypervisors.network import mac_address
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import DesiredInstance, hypervisor_for
from unictl.instances.desired.networks import guest_addresses, networks_of
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.launch_record import LaunchDocument


def driver_for(service: Service) -> HypervisorDriver:
    """KeyError where the service names a hypervisor that there is no driver for (``preflight`` says so first)."""
    return DRIVERS[hypervisor_for(service)]


def machine_for(service: Service, family: GuestFamily) -> str:
    """The machine type: the one the service names, else the family's first."""
    return service.machine or family.machines[0]


def launch_document(
    fleet: Fleet,
    desired: DesiredInstance,
    launch: int,
    forwards: Sequence[Forward],
    resolved: Mapping[str, str],
    facts: FleetFacts,
    *,
    commit: str = "",
) -> LaunchDocument:
    """The launch document. KeyError or ValueError where ``preflight`` has findings; ask it first."""
    service = fleet.services[desired.service]
    image = fleet.images[service.image]
    family = FAMILIES[image.guest]
    guest_boot = build_boot(fleet, desired, generation(desired.fingerprint, launch), resolved)
    guest_launch = driver_for(service).launch(family, facts[image.name], guest_boot, forwards)
    return {
        "name": desired.name,
        "generation": guest_boot.generation,
        "service": desired.service,
        "ordinal": desired.ordinal,
        "launch": launch,
        "fingerprint": desired.fingerprint,
        "spec": desired.spec,
        "resolved": dict(resolved),
        "commit": commit,
        "protect": desired.protect,
        "restart": service.restart,
        "run": guest_launch.document(),
    }


def relaunch_document(document: LaunchDocument, owner: str, launch: int) -> LaunchDocument:
    """The same launch once more, under another launch number: what names its generation names the new one.

    A document is all there is of a launch whose image nobody has the facts of any more. It names its generation as a
    word, and by the identity of its process; digests and secrets are other words.
    """
    old, new = document["generation"], generation(document["fingerprint"], launch)
    name = document["name"]
    replacements = {old: new}
    driver = DRIVERS.get(document["run"]["hypervisor"])
    # A record may be of a hypervisor that only another unictl has a driver for: its process then keeps its identity.
    if driver is not None:
        replacements[driver.identity(owner, f"{name}.{old}")] = driver.identity(owner, f"{name}.{new}")
    words = re.compile("|".join(rf"(?<![\w]){re.escape(word)}(?![\w])" for word in replacements))

    def replace_words(text: str) -> str:
        return words.sub(lambda match: replacements[match.group()], text)

    run_section = document["run"]
    run_section = {
        **run_section,
        "argv": [replace_words(word) for word in run_section["argv"]],
        "config": replace_words(run_section["config"]),
    }
    return {**document, "launch": launch, "generation": new, "run": run_section}


def build_boot(fleet: Fleet, desired: DesiredInstance, generation: str, resolved: Mapping[str, str]) -> Boot:
    """What the guest is handed, with every reference but the secrets resolved."""
    service = fleet.services[desired.service]
    image = fleet.images[service.image]
    networks = networks_of(fleet, service)
    return Boot(
        name=desired.name,
        service=desired.service,
        ordinal=desired.ordinal,
        generation=generation,
        owner=fleet.owner,
        args=tuple(_render_text(fleet, text, resolved) for text in service.args),
        environment={key: _render_text(fleet, text, resolved) for key, text in service.environment.items()},
        nics=tuple(_build_nic(fleet, desired, index, network) for index, network in enumerate(networks)),
        disks=tuple(Disk(device=device, volume=volume) for device, volume in sorted(desired.volumes.items())),
        memory=desired.memory,
        cpus=desired.cpus,
        version=image.version,
        machine=_machine_of_image(service, image),
        hostname=desired.name,
    )


def _machine_of_image(service: Service, image: Image) -> str:
    return machine_for(service, FAMILIES[image.guest])


def _build_nic(fleet: Fleet, desired: DesiredInstance, index: int, network: Network) -> Nic:
    addresses = guest_addresses(network)
    return Nic(
        address=addresses.address,
        gateway=addresses.gateway,
        dns=addresses.dns,
        mac=mac_address(fleet.owner, desired.name, index),
        mode=network.mode,
    )


def _render_text(fleet: Fleet, text: Text, resolved: Mapping[str, str]) -> str:
    return "".join(part if isinstance(part, str) else _render_reference(fleet, part, resolved) for part in text)


def _render_reference(fleet: Fleet, reference: Reference, resolved: Mapping[str, str]) -> str:
    if reference.kind == "secret":
        return f"{{secret:{reference.name}}}"
    if reference.kind == "fleet":
        return fleet.name
    return resolved[f"{reference.kind}.{reference.name}"]
