"""Family ``unikraft``: Unikraft's builds for QEMU, both generations of its command line. Pure.

Sources: Unikraft 0.17 (early_init.c, argparse.c, parser.c, shutdown.c, cpu_native.c), release notes 0.13 to 0.21;
ends as measured.

* Words before ``--`` are library parameters only where there is a ``--`` with a word before it; without one they all go
  to the application. A ``--`` without parameters would reach the application. So it stands exactly where there are
  parameters, arguments or not. QEMU's multiboot loader supplies the program's name.
* Words are split at blanks; single quotes group, and neither a quote nor an empty word can be written.
* The drivers know virtio-pci of the transitional kind only: legacy must stay on, and the NIC on the root bus.
* On ``microvm`` multiboot guests are told of no device and cannot power off, so it is refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import MIB, Image, Service
from unictl.guests.command_words import (
    check_arguments,
    check_characters,
    command_texts,
    environment_assignments,
    quote_word,
)
from unictl.guests.exit_rules import ExitRule, Verdict
from unictl.guests.family import Boot, Devices, Nic, PartFacts
from unictl.guests.image_header import ImageHeader
from unictl.guests.preflight import (
    check_family,
    check_file_kind,
    check_files,
    check_kernel,
    check_machine,
    check_memory,
    check_multiboot,
    check_single_network,
)
from unictl.guests.qemu_exits import HOST_EXIT_RULES, RESET_EXIT_RULES

_EINFO_VERSION = (0, 16, 1)
"""The first version that takes ``netdev.ip`` and the long form of ``vfs.fstab``."""
_ENVIRONMENT_VERSION = (0, 13, 0)
_FSTAB_VERSION = (0, 14, 0)
_MIN_MEMORY = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Unikraft:
    """The family; it has no state."""

    name: str = "unikraft"
    machines: tuple[str, ...] = ("pc", "q35")
    ready_pattern: str = r"Powered by"
    refused: str = "'\""
    exits: tuple[ExitRule, ...] = (
        *HOST_EXIT_RULES,
        *RESET_EXIT_RULES,
        ExitRule(verdict=Verdict.CRASH, status=42 << 1 | 1),
        ExitRule(verdict=Verdict.CLEAN, status=41 << 1 | 1),
        ExitRule(verdict=Verdict.CLEAN, status=0),
    )

    def recognise(self, header: ImageHeader) -> bool:
        """The section in which Unikraft's builds keep their boot information."""
        return ".uk_bootinfo" in header.section_names()

    def preflight(self, service: Service, image: Image, facts: PartFacts, machine: str) -> tuple[Finding, ...]:
        """A multiboot kernel built for QEMU, ``pc`` or ``q35``, at least 4 MiB, a version that can be read."""
        return (
            *check_machine(self.name, self.machines, service, machine),
            *check_family(self.name, image, facts),
            *check_kernel(image, facts, optional=("initrd",)),
            *check_multiboot(("images", image.name, "kernel"), facts),
            *check_file_kind(image, facts, "initrd", ("cpio",), "an uncompressed cpio archive"),
            *check_memory(service, minimum=_MIN_MEMORY),
            *_check_version(image, service),
            *check_files(self.name, service),
            *check_characters(service, refused=self.refused),
            *check_arguments(service, empty=False),
            *_check_list_values(service),
        )

    def command_line(self, boot: Boot) -> str:
        """Parameters of address, environment and root file system, ``--`` if there are any, the arguments."""
        version = _parse_version(boot.version) or _EINFO_VERSION
        words = [word for nic in boot.nics for word in _address_words(nic, boot.hostname, version)]
        words += _list_words("env.vars", [quote_word(word) for word in environment_assignments(boot)])
        words += _rootfs_words(version) if "initrd" in boot.parts else []
        words += ["--"] if words else []
        return " ".join((*words, *(quote_word(word) for word in boot.args)))

    def devices(self, boot: Boot) -> Devices:  # noqa: ARG002 - the same for every boot
        """Transitional virtio-pci, no boot ROM, and the exit device without which a crash ends with status 0."""
        return Devices(
            nic="virtio-net-pci,romfile=",
            disk="virtio-blk-pci",
            extra=("isa-debug-exit,iobase=0x501,iosize=0x02",),
        )


UNIKRAFT = Unikraft()


def _parse_version(text: str) -> tuple[int, int, int] | None:
    """``0.16.1``, ``v0.17`` as numbers; None where it is no version."""
    match = re.match(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?![\d.])", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _address_words(nic: Nic, hostname: str, version: tuple[int, int, int]) -> list[str]:
    if version >= _EINFO_VERSION:
        parts = [nic.address, nic.gateway, nic.dns, "", hostname]
        return ["netdev.ip=" + ":".join(parts).rstrip(":")]
    interface = IPv4Interface(nic.address)
    return [
        f"netdev.ipv4_addr={interface.ip}",
        f"netdev.ipv4_gw_addr={nic.gateway}",
        f"netdev.ipv4_subnet_mask={interface.netmask}",
    ]


def _list_words(name: str, values: list[str]) -> list[str]:
    return [f"{name}=[", *values, "]"] if values else []


def _rootfs_words(version: tuple[int, int, int]) -> list[str]:
    """The initrd unpacked as root, in the words of the version."""
    if version >= _EINFO_VERSION:
        return _list_words("vfs.fstab", ["initrd0:/:extract:::"])
    return _list_words("vfs.fstab", ["initrd0:/:extract"]) if version >= _FSTAB_VERSION else ["vfs.rootfs=initrd"]


def _check_version(image: Image, service: Service) -> Iterator[Finding]:
    version = _parse_version(image.version)
    if image.version and version is None:
        yield Finding(
            code="bad-version",
            path=("images", image.name, "version"),
            summary=f"{image.version!r} is no version of Unikraft",
            hint='write it as in "0.17", or leave it out for 0.16.1 and later',
        )
    if version and version < _ENVIRONMENT_VERSION and service.environment:
        yield Finding(
            code="no-environment",
            path=("services", service.name, "environment"),
            summary=f"Unikraft {image.version} takes no environment on its command line; 0.13 and later do",
            hint="pass it in args, or build with a later version",
        )
    if version and version < _EINFO_VERSION:
        yield from check_single_network(f"unikraft {image.version}", service)


def _check_list_values(service: Service) -> Iterator[Finding]:
    """A value that ends in ``]`` would end the list of variables (parser.c)."""
    for key, text in command_texts(service):
        last = text[-1] if text else ""
        if key[2] == "environment" and isinstance(last, str) and last.endswith("]"):
            yield Finding(
                code="unsafe-character",
                path=key,
                summary="a variable's value cannot end with ']': Unikraft reads it as the end of the list",
                hint="pass it in args",
            )
