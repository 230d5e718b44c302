"""A hypervisor on the control side is a driver and a row of the table: shown with a made-up one under a name that the
schema announces already."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from tests.instances.samples import FACTS, located, world
from unictl.declaration.load import load_fleet
from unictl.fleet.model import MIB, Fleet
from unictl.guests.family import Boot, GuestFamily, PartFacts
from unictl.hypervisors.driver import HypervisorDriver
from unictl.hypervisors.drivers import DRIVERS
from unictl.hypervisors.launch import Forward, Launch
from unictl.instances.desired.instance import desired_instances
from unictl.instances.launch.document import relaunch_document
from unictl.instances.launch.preflight import check_features, check_launches

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "fleet.schema.json").read_text())
ANNOUNCED = {"solo5-hvt", "solo5-spt", "firecracker", "xen", "libvirt"}
"""What the schema lets a fleet file name and no driver runs yet."""
NAME = "firecracker"
FLEET = """
fleet: {name: shop, id: a1b2c3}
hosts: {one: {connect: local}}
images: {hello: {guest: plain, kernel: hello.elf}}
services:
  api: {image: hello, memory: 16MiB, hypervisor: firecracker, args: ["{spark}"]}
"""


def _launch(family: GuestFamily, facts: PartFacts, boot: Boot, forwards: Sequence[Forward]) -> Launch:
    return Launch(
        hypervisor=NAME,
        argv=("{spark}", f"--id={boot.owner}/{boot.key}", "--config-file", "{config}"),
        config=json.dumps({"boot-source": {"kernel": facts["kernel"].sha256, "args": family.command_line(boot)}}),
        exits=(),
        images=(facts["kernel"].sha256,),
        forwards=tuple(forwards),
        memory=boot.memory,
        overhead=5 * MIB,
    )


MADE_UP = HypervisorDriver(
    name=NAME,
    overhead=5 * MIB,
    line_limit=None,
    tokens=("spark",),
    missing_code="no-firecracker",
    identity=lambda owner, key: f"{owner}/{key}",
    refusals=lambda _family, _facts, _boot: (),
    launch=_launch,
)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row of the table."""
    monkeypatch.setitem(cast("dict[str, HypervisorDriver]", DRIVERS), NAME, MADE_UP)


def declared(text: str = FLEET) -> Fleet:
    loaded = load_fleet({"fleet.yaml": text}, schema=SCHEMA)
    assert loaded.fleet is not None, loaded.problems
    return loaded.fleet


def test_the_schema_names_the_hypervisors_of_the_table_and_those_announced() -> None:
    service = SCHEMA["$defs"]["service"]["properties"]["hypervisor"]
    assert set(service["enum"]) == {*DRIVERS, *ANNOUNCED}
    assert not set(DRIVERS) & ANNOUNCED


def test_without_a_driver_it_is_not_supported_yet() -> None:
    assert [(finding.path, finding.code) for finding in check_features(declared())] == [
        (("services", "api", "hypervisor"), "not-supported-yet")
    ]


@pytest.mark.usefixtures("made_up")
def test_with_a_driver_it_is_supported_and_its_tokens_are_reserved() -> None:
    assert check_features(declared()) == ()
    assert [finding.code for finding in check_launches(declared(), FACTS)] == ["reserved-token"]
    assert check_launches(declared(FLEET.replace("{spark}", "x" * 2000)), FACTS) == ()


@pytest.mark.usefixtures("made_up")
def test_its_launch_document_is_what_its_driver_says() -> None:
    fleet = declared(FLEET.replace("{spark}", "{qemu}"))
    desired = desired_instances(fleet, FACTS)[0]
    placed = located(fleet, desired, "one", {}, world(fleet))
    run = placed.document["run"]
    assert desired.overhead == 5 * MIB
    assert (run["hypervisor"], run["longest"]) == (NAME, 0)
    assert run["argv"][:2] == ["{spark}", f"--id=shop-a1b2c3/{placed.key}"]
    assert "-- {qemu}" in json.loads(run["config"])["boot-source"]["args"]
    relaunched = relaunch_document(placed.document, fleet.owner, 2)
    key = f"{relaunched['name']}.{relaunched['generation']}"
    assert key != placed.key and relaunched["run"]["argv"][1] == f"--id=shop-a1b2c3/{key}"
