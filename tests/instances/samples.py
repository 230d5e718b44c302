"""Fleets, facts and surveys as the tests of this room need them: small, without what does not matter."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings

from unictl.fleet.model import MIB, Fleet, Host, Image, Port, Publication, Service, Source, Volume
from unictl.fleet.references import parse_text
from unictl.guests.image_facts import ImageFacts
from unictl.instances.desired.instance import DesiredInstance, PlacedInstance
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.launch.addresses import assign_addresses
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey

LAW = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
"""The same cases in every run: a law that fails once fails again."""

GIB = 1024 * MIB
KERNEL = ImageFacts(sha256="ab" * 32, size=4096, kind="elf64", protocols=("pvh",))
INITRD = ImageFacts(sha256="cd" * 32, size=512, kind="cpio")
FACTS = {"hello": {"kernel": KERNEL}}
HELLO = Image(name="hello", guest="plain", kernel=Source(path="hello.elf"))
HTTP = (Port(name="http", number=8080),)


def service(name: str = "api", **given: Any) -> Service:
    """A service of the hello image."""
    return Service(**{"name": name, "image": "hello", **given})


def fleet(*services: Service, hosts: Any = ("hv1",), **given: Any) -> Fleet:
    """A fleet of these services; hosts by name, or as Hosts."""
    made = [host if isinstance(host, Host) else Host(name=host, address=_address(host)) for host in hosts]
    return Fleet(
        **{
            "name": "shop",
            "id": "5f0c2a",
            "hosts": {host.name: host for host in made},
            "images": {"hello": HELLO},
            "services": {each.name: each for each in services},
            **given,
        }
    )


def _address(host: str) -> str:
    return f"10.9.0.{sum(map(ord, host)) % 250 + 1}"


def hello() -> Fleet:
    """The hello playbook."""
    counter = service("counter", args=(parse_text("--count"),), volumes={"storage": "counter"}, ports=HTTP)
    front = service(
        "front",
        replicas=3,
        args=(parse_text("--counter=${service.counter.http}"), parse_text("--greeting=hello")),
        ports=HTTP,
        publish=(Publication(port=8080, to="http"),),
        needs=("counter",),
    )
    volumes = {"counter": Volume(name="counter", size=MIB)}
    return fleet(counter, front, name="hello", hosts=(Host(name="here"),), volumes=volumes)


HELLO_ENDPOINTS = {"counter.http": 20000, "front.http": 20001}


def survey(host: str, **given: Any) -> Survey:
    """What a roomy host says; 8 GiB, 4 cores, 100 GiB of disk."""
    plain: dict[str, Any] = {
        "host": host,
        "host_id": f"id-{host}",
        "boot_id": "boot",
        "clock": 0.0,
        "root": "/var/lib/unictl",
        "memory": 8 * GIB,
        "memory_free": 8 * GIB,
        "cpus": 4,
        "disk_free": 100 * GIB,
        "hypervisors": {"qemu": {}},
        "retired": {},
        "ingress": {},
    }
    return Survey(**{**plain, **given})


def world(declared: Fleet, **given: Any) -> dict[str, Any]:
    """Every host of a fleet, answering; by name what one says instead."""
    return {name: given.get(name, survey(name)) for name in declared.hosts}


def live(wished: DesiredInstance, host: str, **given: Any) -> LiveInstance:
    """``wished`` as it runs on ``host``, generation 1."""
    plain: dict[str, Any] = {
        "name": wished.name,
        "generation": "00000001",
        "service": wished.service,
        "ordinal": wished.ordinal,
        "launch": 1,
        "fingerprint": wished.fingerprint,
        "state": "running",
        "host": host,
        "memory": wished.memory,
        "overhead": wished.overhead,
        "cpus": wished.cpus,
        "volumes": tuple(wished.volumes.values()),
        "spec": wished.spec,
    }
    return LiveInstance(**{**plain, **given})


def running(said: LiveState, *instances: LiveInstance) -> dict[str, Any]:
    """The world with these instances in it, each on its own host."""
    return {
        host: replace(each, instances=(*each.instances, *(i for i in instances if i.host == host)))
        if isinstance(each, Survey)
        else each
        for host, each in said.items()
    }


def located(
    declared: Fleet,
    wished: DesiredInstance,
    host: str,
    endpoints: Mapping[str, int],
    said: LiveState,
    facts: FleetFacts = FACTS,
) -> PlacedInstance:
    """One instance, first launch."""
    return assign_addresses(declared, [(wished, host, 1)], said, endpoints, facts)[wished.name]
