"""Exactly the keys of column F enter the launch spec: the column, transcribed, and one change a key."""

from dataclasses import fields, replace
from typing import Any

import pytest

from tests.instances.samples import FACTS, HELLO, INITRD, KERNEL, fleet, service
from unictl.fleet.model import (
    MIB,
    Build,
    File,
    Fleet,
    Image,
    Network,
    OnRequestActivation,
    Placement,
    Port,
    Probe,
    Publication,
    Secret,
    Service,
    Source,
    Update,
    Volume,
)
from unictl.fleet.references import parse_text
from unictl.instances.desired.spec import FleetFacts, file_key, launch_spec

OTHER = replace(KERNEL, sha256="ef" * 32)
ALL_FACTS: FleetFacts = {**FACTS, "other": {"kernel": OTHER}, file_key("a.conf"): {"content": INITRD}}

SERVICE: dict[str, tuple[str, Any]] = {
    # "extends" and "defaults" are merged before there is a Service.
    "kind": ("F", "job"),
    "image": ("F", "other"),
    "hypervisor": ("F", "qemu"),
    "machine": ("F", "q35"),
    "replicas": ("", 3),
    "memory": ("F", 128 * MIB),
    "cpus": ("F", 2),
    "network": ("F", ("back",)),
    "args": ("F", (parse_text("--x"),)),
    "environment": ("F", {"X": parse_text("1")}),
    "files": ("F", (File(path="/etc/a.conf", source="a.conf"),)),
    "volumes": ("F", {"storage": "orders"}),
    "ports": ("F", (Port(name="http", number=8080),)),
    "publish": ("A", (Publication(port=80, to="http"),)),
    "needs": ("P", ("other",)),
    "health": ("A", (Probe(kind="http", path="/healthz"),)),
    "update": ("P", Update(drain=1)),
    "placement": ("P", Placement(hosts="hv1")),
    "restart": ("F", "never"),
    "activation": ("F", OnRequestActivation(idle=60_000)),
    "protect": ("A", True),
    "was": ("P", "old"),
    "labels": ("P", {"tier": "web"}),
    "owners": ("P", ("team",)),
}

IMAGE: dict[str, tuple[str, Any]] = {
    "guest": ("F", "linux"),
    "version": ("F", "0.17"),
    # The path is where bytes come from; what enters is their digest, which the next table changes.
    "kernel": ("", Source(path="elsewhere.elf")),
    "initrd": ("", Source(path="rootfs.cpio")),
    "disk": ("", Source(path="disk.img")),
    "oci": ("", "registry.example.org/hello:1"),
    "build": ("", Build(run=("make",))),
}

NETWORK: dict[str, tuple[str, Any]] = {
    "mode": ("F", "bridge"),
    "subnet": ("F", "10.30.0.0/24"),
    "gateway": ("F", "10.0.2.9"),
    "dns": ("F", "10.0.2.9"),
    "bridge": ("F", "br0"),
    "vni": ("F", 7),
    "mtu": ("F", 1400),
    "endpoints": ("P", "21000-21999"),
}

SECRET: dict[str, tuple[str, Any]] = {
    "env": ("", "OTHER"),
    "file": ("", "secret.txt"),
    "command": ("", ("pass", "show")),
    "version": ("F", 2),
    "visible_on_host": ("", True),
}

VOLUME: dict[str, tuple[str, Any]] = {
    "size": ("A", 2 * MIB),
    "host": ("P", "hv1"),
    "accept_loss": ("P", True),
    "snapshot": ("P", True),
}


def base() -> Fleet:
    api = service(args=(parse_text("--password=${secret.password}"),), network=("front",), volumes={"data": "data"})
    return fleet(
        api,
        images={"hello": HELLO, "other": Image(name="other", guest="plain")},
        networks={"front": Network(name="front"), "back": Network(name="back", subnet="10.31.0.0/24")},
        secrets={"password": Secret(name="password", env="PASSWORD")},
        volumes={"data": Volume(name="data", size=MIB), "orders": Volume(name="orders", size=MIB)},
    )


def spec(declared: Fleet, facts: FleetFacts = ALL_FACTS) -> dict[str, Any]:
    return launch_spec(declared, declared.services["api"], 0, facts)


def changed(room: str, name: str, key: str, value: Any, before: Fleet | None = None) -> Fleet:
    """A fleet, the base one unless said, with one key of one thing changed."""
    before = before or base()
    things = getattr(before, room)
    rooms: dict[str, Any] = {room: {**things, name: replace(things[name], **{key: value})}}
    return replace(before, **rooms)


ROWS = [
    (room, name, key, column, value)
    for room, name, table in (
        ("services", "api", SERVICE),
        ("images", "hello", IMAGE),
        ("networks", "front", NETWORK),
        ("secrets", "password", SECRET),
        ("volumes", "data", VOLUME),
    )
    for key, (column, value) in table.items()
]


@pytest.mark.parametrize(("room", "name", "key", "column", "value"), ROWS, ids=[f"{r[0]}.{r[2]}" for r in ROWS])
def test_a_key_enters_the_spec_exactly_when_it_is_of_column_f(
    room: str, name: str, key: str, column: str, value: Any
) -> None:
    before = base()
    if key == "replicas":
        # Replicas have volumes of their own, which is the volumes' key speaking.
        before = changed("services", "api", "volumes", {})
    after = changed(room, name, key, value, before)
    assert (spec(after) != spec(before)) == (column == "F")


@pytest.mark.parametrize(
    ("kind", "table"),
    [(Service, SERVICE), (Image, IMAGE), (Network, NETWORK), (Secret, SECRET), (Volume, VOLUME)],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_every_key_has_a_column(kind: Any, table: dict[str, Any]) -> None:
    assert {field.name for field in fields(kind)} - {"name"} == set(table)


@pytest.mark.parametrize("part", ["kernel", "initrd", "disk"])
def test_the_digest_of_every_part_of_an_image_enters(part: str) -> None:
    facts = {**ALL_FACTS, "hello": {**ALL_FACTS["hello"], part: OTHER}}
    assert spec(base(), facts)["image"][part] == OTHER.sha256
    assert spec(base(), facts) != spec(base())


def test_an_image_under_another_name_with_the_same_bytes_is_the_same() -> None:
    facts = {**ALL_FACTS, "other": ALL_FACTS["hello"]}
    assert spec(changed("services", "api", "image", "other"), facts) == spec(base(), facts)


def test_a_network_under_another_name_with_the_same_fields_is_the_same() -> None:
    twin = replace(base(), networks={**base().networks, "twin": Network(name="twin")})
    moved = replace(twin, services={"api": replace(twin.services["api"], network=("twin",))})
    assert spec(moved) == spec(twin)


def test_the_content_of_a_file_enters_and_a_secret_file_by_its_version() -> None:
    plain = changed("services", "api", "files", (File(path="/etc/a.conf", source="a.conf"),))
    assert spec(plain)["files"] == {"/etc/a.conf": {"sha256": INITRD.sha256}}
    hidden = changed("services", "api", "files", (File(path="/key", secret="password"),))
    assert spec(hidden)["files"] == {"/key": {"secret": "password"}}
    assert spec(hidden)["secrets"] == {"password": 1}


def test_no_host_enters_so_the_fingerprint_is_the_fleet_files_and_the_locks_alone() -> None:
    assert spec(replace(base(), hosts={})) == spec(base())
