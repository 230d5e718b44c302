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

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import MIB, Image, Service
from unictl.guests.command_words import check_characters, environment_assignments, quote_word
from unictl.guests.exit_rules import ExitRule, Verdict
from unictl.guests.family import Boot, Devices, PartFacts
from unictl.guests.image_header import ImageHeader
from unictl.guests.preflight import (
    check_disks,
    check_family,
    check_files,
    check_kernel,
    check_machine,
    check_memory,
    check_pvh,
    check_single_network,
)
from unictl.guests.qemu_exits import CODE_EXIT_RULES, DEBUG_EXIT_DEVICE, HOST_EXIT_RULES, RESET_EXIT_RULES

_MIN_MEMORY = 4 * MIB
_MAX_MEMORY = 3 << 30
_DEVICE_SLOTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The family; it has no state."""

    name: str = "plain"
    machines: tuple[str, ...] = ("microvm",)
    ready_pattern: str = ""
    refused: str = "'\""
    exits: tuple[ExitRule, ...] = (
        *HOST_EXIT_RULES,
        ExitRule(verdict=Verdict.CLEAN, status=0, reason="guest-shutdown"),
        *RESET_EXIT_RULES,
        ExitRule(verdict=Verdict.CRASH, status=0),
        *CODE_EXIT_RULES,
    )

    def recognise(self, header: ImageHeader) -> bool:
        """The note that unictl's own convention asks for."""
        return "unictl" in header.notes

    def preflight(self, service: Service, image: Image, facts: PartFacts, machine: str) -> tuple[Finding, ...]:
        """Kernel with a PVH note and no multiboot header, ``microvm``, 4 MiB to 3 GiB, one network, seven volumes."""
        return (
            *check_machine(self.name, self.machines, service, machine),
            *check_family(self.name, image, facts),
            *check_kernel(image, facts, optional=("initrd",)),
            *check_pvh(("images", image.name, "kernel"), facts),
            *check_memory(service, minimum=_MIN_MEMORY, maximum=_MAX_MEMORY),
            *check_single_network(self.name, service),
            *check_disks(self.name, service, limit=_DEVICE_SLOTS - 1),
            *check_files(self.name, service),
            *check_characters(service, refused=self.refused),
        )

    def command_line(self, boot: Boot) -> str:
        """Identity, address, environment by name, then the arguments behind ``--``."""
        words = [f"unictl.name={boot.name}", f"unictl.generation={boot.generation}"]
        for nic in boot.nics[:1]:
            words += [f"net.ip={nic.address}", f"net.gateway={nic.gateway}"]
            words += [f"net.dns={nic.dns}"] if nic.dns else []
        words += environment_assignments(boot)
        words += ["--", *boot.args] if boot.args else []
        return " ".join(quote_word(word) for word in words)

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
            extra=(DEBUG_EXIT_DEVICE,),
            defaults=("virtio-mmio.force-legacy=off",),
        )


PLAIN = Plain()
