"""The table of hypervisors: what ``hypervisor:`` in a fleet file may be. Values only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from unictl.guests.family import Boot, Facts, Family, Finding
from unictl.hypervisors import qemu
from unictl.hypervisors.launch import Forward, Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One hypervisor. ``overhead``: bytes its process takes besides the guest's memory. Ask ``refusals`` first."""

    name: str
    overhead: int
    launch: Callable[[Family, Facts, Boot, Sequence[Forward]], Launch]
    refusals: Callable[[Family, Facts, Boot], tuple[Finding, ...]]


DRIVERS: Mapping[str, Driver] = {
    "qemu": Driver(name="qemu", overhead=qemu.OVERHEAD, launch=qemu.launch, refusals=qemu.refusals)
}
DEFAULT = "qemu"
