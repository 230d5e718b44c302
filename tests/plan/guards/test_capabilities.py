"""What a host must not lack follows from the hypervisors of what is launched there."""

from dataclasses import replace
from typing import cast

import pytest

from tests.plan.builders import empty, fleet, plan, service
from unictl.hypervisors.driver import HypervisorDriver
from unictl.hypervisors.drivers import DRIVERS
from unictl.hypervisors.qemu import QEMU
from unictl.instances.observed.host_state import MissingCapability
from unictl.plan.model.plan import Plan


def planned(code: str) -> Plan:
    """A first plan for a host that lacks something."""
    declared = fleet(service("api"))
    return plan(declared, empty(declared, missing_capabilities=(MissingCapability(code=code, text="it is not there"),)))


def test_a_host_without_the_hypervisor_of_a_launch_is_refused() -> None:
    assert [refusal.code for refusal in planned("no-qemu").refusals] == ["no-qemu"]


def test_a_host_without_another_hypervisor_is_fine() -> None:
    assert planned("no-firecracker").can_apply


def test_the_driver_of_the_launched_record_says_what_must_not_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = replace(QEMU, missing_code="no-other")
    monkeypatch.setitem(cast("dict[str, HypervisorDriver]", DRIVERS), "qemu", renamed)
    assert planned("no-qemu").can_apply
    assert [refusal.code for refusal in planned("no-other").refusals] == ["no-other"]
