"""Family ``plain``: unictl's own convention for freestanding guests. Pure.

A plain guest is an ELF with Xen's PVH note, on QEMU's ``microvm``, with virtio devices of version 1 over MMIO. Its
command line is

    unictl.name=front-0 unictl.generation=7f3c9a1b net.ip=10.0.2.15/24 net.gateway=10.0.2.2 [net.dns=A]
    [KEY=VALUE]... [-- ARG...] virtio_mmio.device=512@0xfeb00e00:12...

in one line. A word with spaces stands in single quotes and there is no other quoting. The last words are QEMU's own
(``auto-kernel-cmdline``, QEMU's microvm machine, 7.2): they name the devices, come after the arguments, and are no
arguments. The guest ends by writing its code, 0 to 127, to port 0x501 (isa-debug-exit); code 64 says that its
configuration is wrong and that starting it again is of no use.

An image's ``initrd`` is handed over as PVH's first module. The hello guest of the playbooks reads it as further words
before those of the command line: the way out where QEMU's 1012 bytes are too few.
"""

from dataclasses import dataclass

from unictl.fleet.model import MIB, Image, Service
from unictl.guests.command_words import assignments, quoted, word_findings
from unictl.guests.exit_rules import ExitRule, Verdict
from unictl.guests.family import Boot, Devices, Facts, Finding
from unictl.guests.preflight import (
    disk_findings,
    family_findings,
    files_findings,
    kernel_findings,
    machine_findings,
    memory_findings,
    one_network,
    pvh_findings,
)
from unictl.guests.qemu_exits import CODES, DEBUG_EXIT, HOST, RESET

_LEAST = 4 * MIB
_MOST = 3 << 30
_SLOTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The family; it has no state."""

    name: str = "plain"
    machines: tuple[str, ...] = ("microvm",)
    ready_pattern: str = ""
    refused: str = "'\""
    exits: tuple[ExitRule, ...] = (
        *HOST,
        ExitRule(verdict=Verdict.CLEAN, status=0, reason="guest-shutdown"),
        *RESET,
        ExitRule(verdict=Verdict.CRASH, status=0),
        *CODES,
    )

    def preflight(self, service: Service, image: Image, facts: Facts, machine: str) -> tuple[Finding, ...]:
        """Kernel with a PVH note and no multiboot header, ``microvm``, 4 MiB to 3 GiB, one network, seven volumes."""
        return (
            *machine_findings(self.name, self.machines, service, machine),
            *family_findings(self.name, image, facts),
            *kernel_findings(image, facts, optional=("initrd",)),
            *pvh_findings(("images", image.name, "kernel"), facts),
            *memory_findings(service, least=_LEAST, most=_MOST),
            *one_network(self.name, service),
            *disk_findings(self.name, service, most=_SLOTS - 1),
            *files_findings(self.name, service),
            *word_findings(service, refused=self.refused),
        )

    def command_line(self, boot: Boot) -> str:
        """Identity, address, environment by name, then the arguments behind ``--``."""
        words = [f"unictl.name={boot.name}", f"unictl.generation={boot.generation}"]
        for nic in boot.nics[:1]:
            words += [f"net.ip={nic.address}", f"net.gateway={nic.gateway}"]
            words += [f"net.dns={nic.dns}"] if nic.dns else []
        words += assignments(boot)
        words += ["--", *boot.args] if boot.args else []
        return " ".join(quoted(word) for word in words)

    def devices(self, boot: Boot) -> Devices:  # noqa: ARG002 - the same for every boot
        """virtio 1 over MMIO, named on the command line because ACPI is off; the clock is the CPU's own."""
        return Devices(
            machine=(
                "acpi=off",
                "pit=off",
                "pic=off",
                "rtc=off",
                "isa-serial=on",
                "auto-kernel-cmdline=on",
            ),
            nic="virtio-net-device",
            disk="virtio-blk-device",
            extra=(DEBUG_EXIT,),
            defaults=("virtio-mmio.force-legacy=off",),
        )


PLAIN = Plain()
