"""Checks before start that the guest families share: files, boot protocol, machine, memory, networks. Pure."""

from collections.abc import Iterator, Sequence

from unictl.diagnostics.place import Path
from unictl.fleet.model import Image, Service
from unictl.fleet.quantities import memory_text
from unictl.guests.family import Facts, Finding

_ROLES = ("kernel", "initrd", "disk")


def machine_findings(family: str, machines: Sequence[str], service: Service, machine: str) -> Iterator[Finding]:
    """A machine type the family does not run on."""
    if machine not in machines:
        yield Finding(
            code="machine-not-supported",
            key=("services", service.name, "machine"),
            summary=f"{family} guests do not run on QEMU's machine {machine!r}",
            hint=f"leave 'machine' out, or write {' or '.join(machines)}",
        )


def kernel_findings(image: Image, facts: Facts, *, optional: Sequence[str] = ()) -> Iterator[Finding]:
    """No kernel, or a file that the family has no use for."""
    if "kernel" not in facts:
        yield Finding(
            code="kernel-missing",
            key=("images", image.name, "kernel"),
            summary=f"image {image.name!r} has no kernel, and {image.guest} guests boot from one",
            hint="name the built file: kernel: PATH",
        )
    for role in _ROLES:
        if role in facts and role != "kernel" and role not in optional:
            yield Finding(
                code="file-not-used",
                key=("images", image.name, role),
                summary=f"{image.guest} guests take no {role}",
                hint=f"remove {role!r}; data belongs into a volume",
            )


_PVH_HINT = "link an ELF note of owner Xen and type 18 that holds the 32-bit entry address"


def pvh_findings(key: Path, facts: Facts, hint: str = _PVH_HINT) -> Iterator[Finding]:
    """A kernel that QEMU would not boot by PVH: without the note, or with a header that QEMU prefers to it."""
    kernel = facts.get("kernel")
    if kernel is None:
        return
    if "pvh" not in kernel.protocols:
        yield Finding(
            code="wrong-boot-protocol",
            key=key,
            summary=f"this kernel ({_what(kernel.kind, kernel.protocols)}) has no PVH entry",
            hint=hint,
        )
    elif "multiboot" in kernel.protocols:
        yield Finding(
            code="wrong-boot-protocol",
            key=key,
            summary="this kernel has a multiboot header too, which QEMU prefers to its PVH entry",
            hint="remove the multiboot header (0x1BADB002 in the first 8 KiB)",
        )


def multiboot_findings(key: Path, facts: Facts) -> Iterator[Finding]:
    """A kernel that QEMU does not boot by multiboot 1: no header, or a 64-bit ELF that gives no load addresses."""
    kernel = facts.get("kernel")
    if kernel is None:
        return
    if "multiboot" not in kernel.protocols:
        yield Finding(
            code="wrong-boot-protocol",
            key=key,
            summary=f"this kernel ({_what(kernel.kind, kernel.protocols)}) has no multiboot header in its first 8 KiB",
            hint="take the build for QEMU (its name ends in _qemu-x86_64), not the one for Firecracker or Xen",
        )
    elif kernel.kind == "elf64" and not kernel.address_flag:
        yield Finding(
            code="wrong-boot-protocol",
            key=key,
            summary="a 64-bit multiboot kernel without load addresses in its header: QEMU refuses it",
            hint="set flag 16 and the address fields of the multiboot header, or convert the file to 32-bit ELF",
        )


def _what(kind: str, protocols: Sequence[str]) -> str:
    return f"{kind}, boots by {' or '.join(protocols)}" if protocols else kind


def file_kind_findings(image: Image, facts: Facts, role: str, kinds: Sequence[str], what: str) -> Iterator[Finding]:
    """A file in the place of another: a kernel given as initrd."""
    if role in facts and facts[role].kind not in kinds:
        yield Finding(
            code="wrong-file",
            key=("images", image.name, role),
            summary=f"this {role} is {facts[role].kind}, not {what}",
            hint=f"name the right file under {role!r}",
        )


def files_findings(family: str, service: Service) -> Iterator[Finding]:
    """Files put into the guest, which no family here does yet; never ignored silently."""
    if service.files:
        yield Finding(
            code="files-not-supported",
            key=("services", service.name, "files"),
            summary=f"files are not put into {family} guests yet",
            hint="build them into the image, or put them into a volume",
        )


def memory_findings(service: Service, *, least: int, most: int | None = None, why: str = "") -> Iterator[Finding]:
    """Memory outside of what the family boots with, or in parts of a KiB."""
    key: Path = ("services", service.name, "memory")
    given = memory_text(service.memory)
    if service.memory < least:
        yield Finding(
            code="too-little-memory",
            key=key,
            summary=f"{given} is less than this guest boots with{why}",
            hint=f"give it {memory_text(least)} or more",
        )
    if most is not None and service.memory > most:
        yield Finding(
            code="too-much-memory",
            key=key,
            summary=f"{given} is more than this guest can use{why}",
            hint=f"give it {memory_text(most)} or less",
        )
    if service.memory % 1024:
        summary = f"{given} is no whole number of KiB"
        yield Finding(code="odd-memory", key=key, summary=summary, hint="write a whole number of MiB")


def one_network(family: str, service: Service) -> Iterator[Finding]:
    """More networks than the family's command line can describe."""
    if len(service.network) > 1:
        yield Finding(
            code="too-many-networks",
            key=("services", service.name, "network"),
            summary=f"{family} guests take one network, not {len(service.network)}",
            hint="name one network",
        )


def disk_findings(family: str, service: Service, most: int) -> Iterator[Finding]:
    """More volumes than the family's machine has slots for."""
    if len(service.volumes) > most:
        yield Finding(
            code="too-many-volumes",
            key=("services", service.name, "volumes"),
            summary=f"{family} guests take at most {most} volumes, not {len(service.volumes)}",
            hint="put the data into fewer volumes",
        )


def family_findings(family: str, image: Image, facts: Facts) -> Iterator[Finding]:
    """A kernel that was evidently built for another family."""
    kernel = facts.get("kernel")
    if kernel is not None and kernel.family and kernel.family != family:
        yield Finding(
            code="other-family",
            key=("images", image.name, "guest"),
            summary=f"this kernel is a {kernel.family} guest by its own notes, not {family}",
            hint=f"write guest: {kernel.family}, or take another kernel",
        )
