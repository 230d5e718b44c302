"""Family ``linux``: a Linux kernel with an init of its own, as a single-purpose guest. Pure.

Sources: Linux 6.1's init/main.c, kernel/params.c, kernel-parameters.txt and ipconfig.c; measured with Debian's cloud
kernel 6.1, which has no CONFIG_IP_PNP and its virtio drivers as modules.

* ``ip=`` sets the address only where the kernel has CONFIG_IP_PNP. So the address also stands in words that the kernel
  does not know and hands to init as environment: ``unictl_ip=10.0.2.15/24``, ``unictl_gateway``, ``unictl_dns``,
  ``unictl_name``, ``unictl_generation``. Names have no dots: words with dots are module parameters and get lost.
* ``KEY=VALUE`` reaches init the same way, words behind ``--`` are init's arguments. The kernel groups by double quotes
  only, which QEMU's configuration file cannot carry: so a word holds no space. 32 of each is the kernel's limit.
* An init ends the guest by power-off, or with a code from 0 to 127 by a write to port 0x501 (isa-debug-exit; it needs
  iopl). ``panic=-1`` makes the death of init, and every panic, an immediate reset, which ends QEMU.
* On ``microvm`` devices come through ACPI, and the kernel resets by triple fault (``reboot=t``). Without KVM's clock
  such a kernel often hangs there while it measures its timers, silently and at full CPU: so ``q35`` is the default.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import MIB, Image, Service
from unictl.guests.command_words import check_arguments, check_characters, environment_assignments
from unictl.guests.exit_rules import ExitRule, Verdict
from unictl.guests.family import Boot, Devices, Nic, PartFacts
from unictl.guests.image_header import ImageHeader
from unictl.guests.preflight import (
    check_disks,
    check_family,
    check_file_kind,
    check_files,
    check_kernel,
    check_machine,
    check_memory,
    check_pvh,
    check_single_network,
)
from unictl.guests.qemu_exits import CODE_EXIT_RULES, DEBUG_EXIT_DEVICE, HOST_EXIT_RULES, RESET_EXIT_RULES

_MIN_MEMORY = 8 * MIB
_MAX_WORDS = 32
_OWN_VARIABLES = 8
_KERNEL_WORDS = (
    "acpi console debug init initrd ip loglevel maxcpus mem nosmp nr_cpus panic pci quiet rdinit reboot resume ro root"
    " rootflags rootfstype rootwait rw single"
)
_KERNEL_PARAMETERS = frozenset(_KERNEL_WORDS.split())
"""Words the kernel takes for itself: a variable of that name would change the kernel instead of reaching init."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linux:
    """The family; it has no state."""

    name: str = "linux"
    machines: tuple[str, ...] = ("q35", "microvm")
    ready_pattern: str = r"Run \S+ as init process"
    refused: str = '" '
    exits: tuple[ExitRule, ...] = (
        *HOST_EXIT_RULES,
        ExitRule(verdict=Verdict.CLEAN, status=0, reason="guest-shutdown"),
        *RESET_EXIT_RULES,
        ExitRule(verdict=Verdict.CRASH, status=0, console=r"Kernel panic - not syncing"),
        ExitRule(verdict=Verdict.CLEAN, status=0),
        *CODE_EXIT_RULES,
    )

    def recognise(self, header: ImageHeader) -> bool:
        """A bzImage, or an ELF whose Xen note names Linux."""
        return header.kind == "bzimage" or header.notes.get("xen.guest", "").lower() == "linux"

    def preflight(self, service: Service, image: Image, facts: PartFacts, machine: str) -> tuple[Finding, ...]:
        """A bzImage, or a vmlinux with PVH entry; an initrd that is an archive; words the kernel's parser can carry."""
        kernel = facts.get("kernel")
        bzimage = kernel is not None and "linux" in kernel.protocols
        size = sum(facts[role].size for role in ("kernel", "initrd") if role in facts)
        return (
            *check_machine(self.name, self.machines, service, machine),
            *check_family(self.name, image, facts),
            *check_kernel(image, facts, optional=("initrd", "disk")),
            *(() if bzimage else check_pvh(("images", image.name, "kernel"), facts, "take the bzImage (vmlinuz)")),
            *check_file_kind(image, facts, "initrd", ("cpio", "gzip", "unknown"), "a cpio archive, compressed or not"),
            *check_memory(
                service, minimum=_MIN_MEMORY + size, explanation=f" (8 MiB beside kernel and initrd, {size >> 20} MiB)"
            ),
            *check_single_network(self.name, service),
            *check_disks(self.name, service, limit=6),
            *check_files(self.name, service),
            *check_characters(service, refused='"', spaces=False),
            *check_arguments(service, empty=False, dashes=False),
            *_check_kernel_words(service),
        )

    def command_line(self, boot: Boot) -> str:
        """Console, what to do on a panic, the address twice, identity, environment by name, then init's arguments."""
        words = ["console=ttyS0", "panic=-1"]
        words += ["reboot=t"] if boot.machine == "microvm" else []
        words += ["root=/dev/vda", "ro"] if "disk" in boot.parts and "initrd" not in boot.parts else []
        words += [word for nic in boot.nics[:1] for word in _address_words(nic, boot.hostname or boot.name)]
        words += [f"unictl_name={boot.name}", f"unictl_generation={boot.generation}"]
        words += environment_assignments(boot)
        words += ["--", *boot.args] if boot.args else []
        return " ".join(words)

    def devices(self, boot: Boot) -> Devices:
        """virtio-pci of version 1 on ``q35``, virtio-mmio found through ACPI on ``microvm``."""
        if boot.machine == "microvm":
            return Devices(
                machine=("acpi=on", "rtc=on", "isa-serial=on", "auto-kernel-cmdline=off"),
                nic="virtio-net-device",
                disk="virtio-blk-device",
                extra=(DEBUG_EXIT_DEVICE,),
                defaults=("virtio-mmio.force-legacy=off",),
            )
        return Devices(
            nic="virtio-net-pci,disable-legacy=on,romfile=",
            disk="virtio-blk-pci,disable-legacy=on",
            extra=(DEBUG_EXIT_DEVICE,),
        )


LINUX = Linux()


def _address_words(nic: Nic, hostname: str) -> list[str]:
    interface = IPv4Interface(nic.address)
    kernel = f"ip={interface.ip}::{nic.gateway}:{interface.netmask}:{hostname}:eth0:off:{nic.dns}".rstrip(":")
    words = [kernel, f"unictl_ip={nic.address}", f"unictl_gateway={nic.gateway}"]
    return [*words, f"unictl_dns={nic.dns}"] if nic.dns else words


def _check_kernel_words(service: Service) -> Iterator[Finding]:
    """Variables the kernel would take for itself, and more words than it hands on (it panics: Too many boot vars)."""
    for key in service.environment:
        if key in _KERNEL_PARAMETERS or key.startswith("unictl_"):
            yield Finding(
                code="kernel-parameter",
                path=("services", service.name, "environment", key),
                summary=f"{key!r} does not reach init: it is a word of the kernel's or of unictl's own",
                hint="use another name, in capitals",
            )
    counted = (
        ("environment", len(service.environment), _MAX_WORDS - _OWN_VARIABLES),
        ("args", len(service.args), _MAX_WORDS - 1),
    )
    for name, count, limit in counted:
        if count > limit:
            yield Finding(
                code="too-many-words",
                path=("services", service.name, name),
                summary=f"{count} words: Linux hands at most {limit} to init",
                hint="put them into a file of the initrd or of a volume",
            )
