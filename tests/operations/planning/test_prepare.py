"""The common head of all that asks hosts: every problem of a fleet's files, each once."""

import json
import shutil
from pathlib import Path

import pytest

from tests.operations.fleets import PLAYBOOK, TryFleet
from unictl.diagnostics.failure import Failure, InvalidFleet, UsageFailure
from unictl.operations.planning.fleet_files import read_files
from unictl.operations.planning.fleet_lock import write_lock
from unictl.operations.planning.prepare import prepare_fleet
from unictl.operations.request import FleetRequest

FLEET = """
fleet: {name: shop, id: a1b2c3}
hosts:
  one: {connect: local}
networks:
  back: {mode: vxlan, vni: 7, subnet: 10.30.0.0/24, endpoints: 10.31.0.0/24}
images:
  hello: {guest: plain, kernel: hello.elf}
services:
  api: {image: hello, memory: 16MiB, network: back, ports: {http: 8080}, hypervisor: xen}
"""


def test_what_is_not_supported_yet_is_said_once_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "hello.elf").write_bytes((PLAYBOOK / "hello.elf").read_bytes())
    with pytest.raises(InvalidFleet) as raised:
        prepare_fleet(FleetRequest(path=tmp_path))
    found = [(each.code, str(each.place)) for each in raised.value.problems]
    assert found == [("not-supported-yet", "fleet.yaml:6:16"), ("not-supported-yet", "fleet.yaml:10:86")]


def test_a_lock_that_cannot_be_written_is_said_with_what_it_is_for(tmp_path: Path) -> None:
    shutil.copytree(PLAYBOOK, tmp_path / "hello")
    (tmp_path / "hello" / "fleet.lock").unlink(missing_ok=True)
    # In the way of what is written aside: whoever is root may write anywhere else.
    (tmp_path / "hello" / "fleet.lock.new").mkdir()
    with pytest.raises(Failure, match=r"fleet\.lock cannot be written, which pins images and endpoint numbers: "):
        write_lock(prepare_fleet(FleetRequest(path=tmp_path / "hello")))


def test_a_lock_that_is_no_text_is_not_taken_for_none(tmp_path: Path) -> None:
    shutil.copytree(PLAYBOOK, tmp_path / "hello")
    (tmp_path / "hello" / "fleet.lock").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidFleet, match=r"fleet\.lock is no text"):
        prepare_fleet(FleetRequest(path=tmp_path / "hello"))


def test_what_is_no_fleet_is_told_apart_from_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "saved.plan").write_text("{}")
    for name, said, hint in (
        ("saved.plan", "is a file, and no fleet", f"unictl show {tmp_path}/saved.plan"),
        ("other.plan", "there is no such plan file or folder", "unictl plan -out"),
        ("shop", "there is no folder", "unictl init"),
        (".", "there is no fleet.yaml in", "unictl init"),
    ):
        with pytest.raises(UsageFailure, match=said) as raised:
            read_files(FleetRequest(path=tmp_path / name))
        assert hint in raised.value.hint


def test_who_stands_beside_a_fleet_is_told_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work" / "shop" / "images").mkdir(parents=True)
    (tmp_path / "work" / "shop" / "fleet.yaml").write_text(FLEET)
    monkeypatch.chdir(tmp_path / "work")
    for place, hint in (
        (".", "shop has one"),
        ("shop/images", "shop/images/.. has one"),
        ("shop/fleet.yml", "shop has one"),
    ):
        with pytest.raises(UsageFailure, match="there is no fleet") as raised:
            read_files(FleetRequest(path=Path(place)))
        assert raised.value.hint == f"{hint}: name it"
    monkeypatch.chdir(tmp_path / "work" / "shop" / "images")
    with pytest.raises(UsageFailure) as raised:
        read_files(FleetRequest())
    assert raised.value.hint == ".. has one: name it"


@pytest.mark.real
def test_what_a_plan_refuses_is_shown_with_the_line_that_decides(fleet: TryFleet) -> None:
    fleet.edit("volumes:\n", "policy: {max_changes: 1}\nvolumes:\n")
    refused, number = fleet.plan(), fleet.yaml().splitlines().index("policy: {max_changes: 1}") + 1
    assert refused.code == 6
    assert f"fleet.yaml:{number}:23\n" in refused.out and f"  {number} | policy: {{max_changes: 1}}\n" in refused.out
    (problem,) = json.loads(fleet.plan("-json").out)["refusals"]
    assert problem["source"] == "policy: {max_changes: 1}"
