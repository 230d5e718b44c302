"""A guest family is one file and its row of the table: shown with a made-up one under a name that the schema announces
already."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from tests.guests import synthetic_images
from tests.instances.samples import located, world
from unictl.declaration.load import load_fleet
from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Fleet, Image, Service
from unictl.guests.exit_rules import ExitRule, Verdict
from unictl.guests.families import ANNOUNCED, FAMILIES
from unictl.guests.family import Boot, Devices, GuestFamily, PartFacts
from unictl.guests.identify import identify
from unictl.guests.image_header import ImageHeader
from unictl.guests.preflight import check_family
from unictl.instances.desired.instance import desired_instances
from unictl.instances.launch.preflight import check_features, check_launches

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "fleet.schema.json").read_text())
ANNOUNCED_NAMES = {"mirage", "nanos", "osv", "hermit", "includeos", "rumprun"}
"""What the schema lets a fleet file name and no family runs yet."""
FLEET = """
fleet: {name: shop, id: a1b2c3}
hosts: {one: {connect: local}}
images: {hello: {guest: nanos, kernel: hello.elf}}
services:
  api: {image: hello, memory: 16MiB, args: [--fast]}
"""
KERNEL = synthetic_images.elf(sections=(".nanos",))


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUp:
    """The family, as its one file would hold it."""

    name: str = "nanos"
    machines: tuple[str, ...] = ("q35",)
    ready_pattern: str = ""
    refused: str = '"'
    exits: tuple[ExitRule, ...] = (ExitRule(verdict=Verdict.CLEAN, status=0),)

    def recognise(self, header: ImageHeader) -> bool:
        return ".nanos" in header.section_names()

    def preflight(self, service: Service, image: Image, facts: PartFacts, machine: str) -> tuple[Finding, ...]:  # noqa: ARG002 - it has no more to say
        return tuple(check_family(self.name, image, facts))

    def command_line(self, boot: Boot) -> str:
        return " ".join(("nanos", *boot.args))

    def devices(self, boot: Boot) -> Devices:  # noqa: ARG002 - the same for every boot
        return Devices()


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row of the table."""
    monkeypatch.setitem(cast("dict[str, GuestFamily]", FAMILIES), "nanos", MadeUp())


def declared() -> Fleet:
    loaded = load_fleet({"fleet.yaml": FLEET}, schema=SCHEMA)
    assert loaded.fleet is not None, loaded.problems
    return loaded.fleet


def test_the_schema_names_the_families_of_the_table_and_those_announced() -> None:
    image = SCHEMA["$defs"]["image"]["properties"]["guest"]
    assert set(image["enum"]) == {*FAMILIES, *ANNOUNCED_NAMES}
    assert not set(FAMILIES) & ANNOUNCED_NAMES and set(ANNOUNCED) <= ANNOUNCED_NAMES


def test_without_its_file_it_is_not_supported_yet_and_not_recognised() -> None:
    assert [(finding.path, finding.code) for finding in check_features(declared())] == [
        (("images", "hello", "guest"), "not-supported-yet")
    ]
    assert identify(KERNEL).family == ""


@pytest.mark.usefixtures("made_up")
def test_with_its_file_it_is_supported_and_recognised() -> None:
    facts = {"hello": {"kernel": identify(KERNEL)}}
    assert facts["hello"]["kernel"].family == "nanos"
    assert check_features(declared()) == () and check_launches(declared(), facts) == ()


@pytest.mark.usefixtures("made_up")
def test_its_launch_document_has_its_machine_command_line_and_exits() -> None:
    facts = {"hello": {"kernel": identify(KERNEL)}}
    fleet = declared()
    placed = located(fleet, desired_instances(fleet, facts)[0], "one", {}, world(fleet), facts=facts)
    run = placed.document["run"]
    assert run["argv"][run["argv"].index("-machine") + 1] == "q35"
    assert 'append = "nanos --fast"' in run["config"]
    assert run["exits"] == [{"verdict": "clean", "status": 0}]
