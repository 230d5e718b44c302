"""Checks before start that the guest families share: files, boot protocol, machine, memory, networks. Pure."""

from collections.abc import Iterator, Sequence

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Image, Service
from unictl.fleet.quantities import format_memory
from unictl.guests.family import PartFacts

_FILE_ROLES = ("kernel", "initrd", "disk")


def check_machine(family: str, machines: Sequence[str], service: Service, machine: str) -> Iterator[Finding]:
    """A machine type the family does not run on."""
    if machine not in machines:
        yield Finding(
            code="machine-not-supported",
            path=("services", service.name, "machine"),
            summary=f"{family} guests do not run on QEMU's machine {machine!r}",
            hint=f"leave 'machine' out, or write {' or '.join(machines)}",
        )


def check_kernel(image: Image, facts: PartFacts, *, optional: Sequence[str] = ()) -> Iterator[Finding]:
    """No kernel, or a file that the family has no use for."""
    if "kernel" not in facts:
        yield Finding(
            code="kernel-missing",
            path=("images", image.name, "kernel"),
            summary=f"image {image.name!r} has no kernel, and {image.guest} guests boot from one",
            hint="name the built file: kernel: PATH",
        )
    for role in _FILE_ROLES:
        if role in facts and role != "kernel" and role not in optional:
            yield Finding(
                code="file-not-used",
                path=("images", image.name, role),
                summary=f"{image.guest} guests take no {role}",
                hint=f"remove {role!r}; data belongs into a volume",
            )


_PVH_HINT = "link an ELF note of owner Xen and type 18 that holds the 32-bit entry address"


def check_pvh(key: DocumentPath, facts: PartFacts, hint: str = _PVH_HINT) -> Iterator[Finding]:
    """A kernel that QEMU would not boot by PVH: without the note, or with a header that QEMU prefers to it."""
    kernel = facts.get("kernel")
    if kernel is None:
        return
    if "pvh" not in kernel.protocols:
        yield Finding(
            code="wrong-boot-protocol",
            path=key,
            summary=f"this kernel ({_describe_kernel(kernel.kind, kernel.protocols)}) has no PVH entry",
            hint=hint,
        )
    elif "multiboot" in kernel.protocols:
        yield Finding(
            code="wrong-boot-protocol",
            path=key,
            summary="this kernel has a multiboot header too, which QEMU prefers to its PVH entry",
            hint="remove the multiboot header (0x1BADB002 in the first 8 KiB)",
        )


def check_multiboot(key: DocumentPath, facts: PartFacts) -> Iterator[Finding]:
    """A kernel that QEMU does not boot by multiboot 1: no header, or a 64-bit ELF that gives no load addresses."""
    kernel = facts.get("kernel")
    if kernel is None:
        return
    if "multiboot" not in kernel.protocols:
        description = _describe_kernel(kernel.kind, kernel.protocols)
        yield Finding(
            code="wrong-boot-protocol",
            path=key,
            summary=f"this kernel ({description}) has no multiboot header in its first 8 KiB",
            hint="take the build for QEMU (its name ends in _qemu-x86_64), not the one for Firecracker or Xen",
        )
    elif kernel.kind == "elf64" and not kernel.address_flag:
        yield Finding(
            code="wrong-boot-protocol",
            path=key,
            summary="a 64-bit multiboot kernel without load addresses in its header: QEMU refuses it",
            hint="set flag 16 and the address fields of the multiboot header, or convert the file to 32-bit ELF",
        )


def _describe_kernel(kind: str, protocols: Sequence[str]) -> str:
    return f"{kind}, boots by {' or '.join(protocols)}" if protocols else kind


def check_file_kind(
    image: Image, facts: PartFacts, role: str, kinds: Sequence[str], expected: str
) -> Iterator[Finding]:
    """A file in the place of another: a kernel given as initrd."""
    if role in facts and facts[role].kind not in kinds:
        yield Finding(
            code="wrong-file",
            path=("images", image.name, role),
            summary=f"this {role} is {facts[role].kind}, not {expected}",
            hint=f"name the right file under {role!r}",
        )


def check_files(family: str, service: Service) -> Iterator[Finding]:
    """Files put into the guest, which no family here does yet; never ignored silently."""
    if service.files:
        yield Finding(
            code="files-not-supported",
            path=("services", service.name, "files"),
            summary=f"files are not put into {family} guests yet",
            hint="build them into the image, or put them into a volume",
        )


def check_memory(
    service: Service, *, minimum: int, maximum: int | None = None, explanation: str = ""
) -> Iterator[Finding]:
    """Memory outside of what the family boots with, or in parts of a KiB."""
    key: DocumentPath = ("services", service.name, "memory")
    size_text = format_memory(service.memory)
    if service.memory < minimum:
        yield Finding(
            code="too-little-memory",
            path=key,
            summary=f"{size_text} is less than this guest boots with{explanation}",
            hint=f"give it {format_memory(minimum)} or more",
        )
    if maximum is not None and service.memory > maximum:
        yield Finding(
            code="too-much-memory",
            path=key,
            summary=f"{size_text} is more than this guest can use{explanation}",
            hint=f"give it {format_memory(maximum)} or less",
        )
    if service.memory % 1024:
        summary = f"{size_text} is no whole number of KiB"
        yield Finding(code="odd-memory", path=key, summary=summary, hint="write a whole number of MiB")


def check_single_network(family: str, service: Service) -> Iterator[Finding]:
    """More networks than the family's command line can describe."""
    if len(service.network) > 1:
        yield Finding(
            code="too-many-networks",
            path=("services", service.name, "network"),
            summary=f"{family} guests take one network, not {len(service.network)}",
            hint="name one network",
        )


def check_disks(family: str, service: Service, limit: int) -> Iterator[Finding]:
    """More volumes than the family's machine has slots for."""
    if len(service.volumes) > limit:
        yield Finding(
            code="too-many-volumes",
            path=("services", service.name, "volumes"),
            summary=f"{family} guests take at most {limit} volumes, not {len(service.volumes)}",
            hint="put the data into fewer volumes",
        )


def check_family(family: str, image: Image, facts: PartFacts) -> Iterator[Finding]:
    """A kernel that was evidently built for another family."""
    kernel = facts.get("kernel")
    if kernel is not None and kernel.family and kernel.family != family:
        yield Finding(
            code="other-family",
            path=("images", image.name, "guest"),
            summary=f"this kernel is a {kernel.family} guest by its own notes, not {family}",
            hint=f"write guest: {kernel.family}, or take another kernel",
        )
