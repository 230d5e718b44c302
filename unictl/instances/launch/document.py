"""Renders a placed instance as the launch document that a host takes. Pure; it contains no secret.

References are resolved; a secret stays the token ``{secret:NAME}`` that only the host fills in.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from unictl.fleet.model import Fleet, Image, Network, Service
from unictl.fleet.references import Reference, Text
from unictl.guests.families import FAMILIES
from unictl.guests.family import Boot, Disk, Family, Nic
from unictl.hypervisors.drivers import DRIVERS, Driver
from unictl.hypervisors.launch import Forward
from unictl.hypervisors.network import mac
from unictl.hypervisors.qemu import identity
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import Wished, hypervisor_of
from unictl.instances.desired.networks import networks_of, seen
from unictl.instances.desired.spec import FleetFacts


def driver_of(service: Service) -> Driver:
    """KeyError where the service names a hypervisor that there is no driver for (``preflight`` says so first)."""
    return DRIVERS[hypervisor_of(service)]


def machine_of(service: Service, family: Family) -> str:
    """The machine type: the one the service names, else the family's first."""
    return service.machine or family.machines[0]


def document(
    fleet: Fleet,
    wished: Wished,
    launch: int,
    forwards: Sequence[Forward],
    resolved: Mapping[str, str],
    facts: FleetFacts,
    *,
    commit: str = "",
) -> dict[str, Any]:
    """The launch document. KeyError or ValueError where ``preflight`` has findings; ask it first."""
    service = fleet.services[wished.service]
    image = fleet.images[service.image]
    family = FAMILIES[image.guest]
    handed = boot(fleet, wished, generation(wished.fingerprint, launch), resolved)
    run = driver_of(service).launch(family, facts[image.name], handed, forwards)
    return {
        "name": wished.name,
        "generation": handed.generation,
        "service": wished.service,
        "ordinal": wished.ordinal,
        "launch": launch,
        "fingerprint": wished.fingerprint,
        "spec": wished.spec,
        "resolved": dict(resolved),
        "commit": commit,
        "protect": wished.protect,
        "restart": service.restart,
        "run": run.document(),
    }


def anew(document: Mapping[str, Any], owner: str, launch: int) -> dict[str, Any]:
    """The same launch once more, under another launch number: what names its generation names the new one.

    A document is all there is of a launch whose image nobody has the facts of any more. It names its generation as a
    word, and by the identity of its process; digests and secrets are other words.
    """
    old, new = document["generation"], generation(document["fingerprint"], launch)
    name = document["name"]
    known = {old: new, identity(owner, f"{name}.{old}"): identity(owner, f"{name}.{new}")}
    words = re.compile("|".join(rf"(?<![\w]){re.escape(word)}(?![\w])" for word in known))

    def renamed(text: str) -> str:
        return words.sub(lambda found: known[found.group()], text)

    run = document["run"]
    run = {**run, "argv": [renamed(word) for word in run["argv"]], "config": renamed(run["config"])}
    return {**document, "launch": launch, "generation": new, "run": run}


def boot(fleet: Fleet, wished: Wished, generation: str, resolved: Mapping[str, str]) -> Boot:
    """What the guest is handed, with every reference but the secrets resolved."""
    service = fleet.services[wished.service]
    image = fleet.images[service.image]
    networks = networks_of(fleet, service)
    return Boot(
        name=wished.name,
        service=wished.service,
        ordinal=wished.ordinal,
        generation=generation,
        owner=fleet.owner,
        args=tuple(_text(fleet, text, resolved) for text in service.args),
        environment={key: _text(fleet, text, resolved) for key, text in service.environment.items()},
        nics=tuple(_nic(fleet, wished, index, network) for index, network in enumerate(networks)),
        disks=tuple(Disk(device=device, volume=volume) for device, volume in sorted(wished.volumes.items())),
        memory=wished.memory,
        cpus=wished.cpus,
        version=image.version,
        machine=_machine(service, image),
        hostname=wished.name,
    )


def _machine(service: Service, image: Image) -> str:
    return machine_of(service, FAMILIES[image.guest])


def _nic(fleet: Fleet, wished: Wished, index: int, network: Network) -> Nic:
    addresses = seen(network)
    return Nic(
        address=addresses.address,
        gateway=addresses.gateway,
        dns=addresses.dns,
        mac=mac(fleet.owner, wished.name, index),
    )


def _text(fleet: Fleet, text: Text, resolved: Mapping[str, str]) -> str:
    return "".join(part if isinstance(part, str) else _part(fleet, part, resolved) for part in text)


def _part(fleet: Fleet, reference: Reference, resolved: Mapping[str, str]) -> str:
    if reference.kind == "secret":
        return f"{{secret:{reference.name}}}"
    if reference.kind == "fleet":
        return fleet.name
    return resolved[f"{reference.kind}.{reference.name}"]
