"""The table of hypervisors: what ``hypervisor:`` in a fleet file may be. Values only."""

from collections.abc import Mapping

from unictl.hypervisors.driver import HypervisorDriver
from unictl.hypervisors.qemu import QEMU

DRIVERS: Mapping[str, HypervisorDriver] = {driver.name: driver for driver in (QEMU,)}
DEFAULT_HYPERVISOR = QEMU.name
