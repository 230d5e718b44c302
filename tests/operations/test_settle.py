"""The common head of all that asks hosts: every problem of a fleet's files, each once."""

from pathlib import Path

import pytest

from tests.operations.fleets import PLAYBOOK
from unictl.diagnostics.failure import InvalidFleet
from unictl.operations.request import FleetRequest
from unictl.operations.settle import settle

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
        settle(FleetRequest(path=tmp_path))
    found = [(each.code, str(each.place)) for each in raised.value.problems]
    assert found == [("not-supported-yet", "fleet.yaml:6:16"), ("not-supported-yet", "fleet.yaml:10:86")]
