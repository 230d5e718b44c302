"""The table of hypervisors: what ``hypervisor:`` in a fleet file may be. Values only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from unictl.guests.family import Boot, GuestFamily, GuestFinding, PartFacts
from unictl.hypervisors import qemu
from unictl.hypervisors.launch import Forward, Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervisorDriver:
    """One hypervisor. ``overhead``: bytes its process takes besides the guest's memory. Ask ``refusals`` first."""

    name: str
    overhead: int
    launch: Callable[[GuestFamily, PartFacts, Boot, Sequence[Forward]], Launch]
    refusals: Callable[[GuestFamily, PartFacts, Boot], tuple[GuestFinding, ...]]


DRIVERS: Mapping[str, HypervisorDriver] = {
    "qemu": HypervisorDriver(name="qemu", overhead=qemu.OVERHEAD, launch=qemu.build_launch, refusals=qemu.find_refusals)
}
DEFAULT_HYPERVISOR = "qemu"
