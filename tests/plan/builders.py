"""Fleets, images and hosts to plan with, as short as a test can say them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from unictl.fleet.model import Fleet, Host, Image, Port, Probe, Publication, Service, Source, Volume
from unictl.fleet.references import parse_text
from unictl.guests.image_facts import ImageFacts
from unictl.instances.observed.host_state import Survey, UnreachableHost
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.plan import Plan
from unictl.plan.model.revision import Revision
from unictl.plan.planner import build

GIB = 1 << 30
REVISION = Revision(commit="c0ffee" * 6 + "c0ff", clean=True, subject="a commit")
HTTP = (Probe(kind="http", path="/healthz", port="http"),)


def service(name: str, *args: str, **given: Any) -> Service:
    """A service on the plain image with an http port and a check, unless told otherwise."""
    given = {"ports": (Port(name="http", number=8080),), "health": HTTP, "image": "app", **given}
    return Service(name=name, args=tuple(parse_text(arg) for arg in args), **given)


def published(port: int, to: str = "http") -> tuple[Publication, ...]:
    return (Publication(port=port, to=to),)


def fleet(*services: Service, hosts: int | Iterable[Host] = 1, **given: Any) -> Fleet:
    """A fleet with these services on some hosts; a volume is declared for every one that a service names."""
    machines = [host(f"hv{n}") for n in range(1, hosts + 1)] if isinstance(hosts, int) else list(hosts)
    volumes = {v: Volume(name=v, size=GIB) for each in services for v in each.volumes.values()}
    images = {
        name: Image(name=name, guest="plain", kernel=Source(path=f"images/{name}.elf"))
        for name in sorted({each.image for each in services} | {"app"})
    }
    return Fleet(
        name=given.pop("name", "shop"),
        id=given.pop("id", "5f0c2a"),
        hosts={each.name: each for each in machines},
        services={each.name: each for each in services},
        volumes={**volumes, **given.pop("volumes", {})},
        images=images,
        **given,
    )


def host(name: str, **given: Any) -> Host:
    return Host(name=name, address=f"10.0.0.{int(name[2:])}", **given)


def facts(fleet: Fleet, **versions: str) -> dict[str, dict[str, ImageFacts]]:
    """Facts of every image; ``versions`` give one other bytes."""
    return {
        name: {
            "kernel": ImageFacts(
                sha256=_digest(name, versions.get(name, "1")),
                size=1 << 20,
                kind="elf32",
                protocols=("multiboot", "pvh"),
            )
        }
        for name in fleet.images
    }


def _digest(name: str, version: str) -> str:
    from hashlib import sha256

    return sha256(f"{name} {version}".encode()).hexdigest()


def endpoints(fleet: Fleet) -> dict[str, int]:
    """A number for each port, as fleet.lock would pin it: by name, so that it stays when the fleet changes."""
    numbers: dict[str, int] = {}
    for name in sorted(fleet.services):
        for port in fleet.services[name].ports:
            number = 20_000 + int(_digest(name, port.name)[:3], 16)
            while number in numbers.values():
                number += 1
            numbers[f"{name}.{port.name}"] = number
    return numbers


def survey(name: str, **given: Any) -> Survey:
    """An empty host with room."""
    return Survey(
        host=name,
        **{
            "host_id": _digest("host", name)[:32],
            "boot_id": "boot",
            "clock": 1000.0,
            "root": "/var/lib/unictl",
            "memory": 64 * GIB,
            "memory_free": 60 * GIB,
            "cpus": 64,
            "disk_free": 500 * GIB,
            "hypervisors": {"qemu": {"path": "/usr/bin/qemu-system-x86_64", "version": "9.2"}},
            "retired": {},
            "ingress": {"state": "absent", "hash": ""},
            **given,
        },
    )


def empty(fleet: Fleet, **given: Any) -> dict[str, Survey | UnreachableHost]:
    """A world in which nothing of the fleet lives yet."""
    return {name: survey(name, **given) for name in fleet.hosts}


def plan(
    fleet: Fleet,
    world: Mapping[str, Survey | UnreachableHost],
    *,
    versions: Mapping[str, str] = {},
    revision: Revision = REVISION,
    **options: Any,
) -> Plan:
    """The plan of a fleet in a world."""
    known = facts(fleet, **versions)
    return build(fleet, known, endpoints(fleet), world, revision=revision, options=PlanOptions(**options))


def silent(world: Mapping[str, Survey | UnreachableHost], *names: str) -> dict[str, Survey | UnreachableHost]:
    """The world with these hosts not answering."""
    return {
        n: UnreachableHost(host=n, reason="connection timed out") if n in names else said for n, said in world.items()
    }


def change(fleet: Fleet, name: str, **given: Any) -> Fleet:
    """The fleet with one service changed; ``args`` are texts."""
    if "args" in given:
        given["args"] = tuple(parse_text(arg) for arg in given["args"])
    return replace(fleet, services={**fleet.services, name: replace(fleet.services[name], **given)})


def without(fleet: Fleet, name: str) -> Fleet:
    """The fleet without a service."""
    return replace(fleet, services={n: each for n, each in fleet.services.items() if n != name})
