"""What a file is, from its bytes: kind, boot protocols, a guess at the family. Pure; hostile bytes give ``unknown``.

The guess never decides: the fleet file names the family, preflight refuses what contradicts it.
"""

import hashlib
import struct

from unictl.guests import elf
from unictl.guests.elf import Buffer, ElfHeader, Note
from unictl.guests.families import recognise_family
from unictl.guests.image_facts import ImageFacts
from unictl.guests.image_header import ImageHeader

_XEN_GUEST_OS, _XEN_PVH = 6, 18
_SOLO5_ABI = 0x31494241
_SOLO5_TARGETS = {1: "hvt", 2: "spt", 3: "virtio", 4: "muen", 5: "genode", 6: "xen"}
_MULTIBOOT_ADDRESSES = 1 << 16
_MAGICS = ((b"QFI\xfb", "qcow2"), (b"070701", "cpio"), (b"070702", "cpio"), (b"\x1f\x8b", "gzip"))


def identify(buffer: Buffer, *, sha256: str = "") -> ImageFacts:
    """The facts of one file. ``sha256`` spares hashing it again where it is known already.

    Order as in QEMU's loader: a Linux boot header wins, then multiboot, then an ELF with Xen's PVH note.
    """
    digest = sha256 or hashlib.sha256(buffer[:]).hexdigest()
    size = len(buffer)
    if buffer[0x202:0x206] == b"HdrS":
        boot_header = ImageHeader(kind="bzimage", notes=_linux_notes(buffer), buffer=buffer)
        return ImageFacts(
            sha256=digest,
            size=size,
            kind=boot_header.kind,
            protocols=("linux",),
            notes=boot_header.notes,
            family=recognise_family(boot_header),
        )
    header = elf.read_header(buffer)
    flags = elf.find_multiboot_flags(buffer)
    if header is not None:
        return _elf_facts(buffer, header, flags, digest)
    kind = _file_kind(buffer)
    return ImageFacts(
        sha256=digest,
        size=size,
        kind=kind,
        protocols=("bios",) if kind == "disk" else ("multiboot",) if flags is not None else (),
        address_flag=bool(flags and flags & _MULTIBOOT_ADDRESSES),
    )


def _file_kind(buffer: Buffer) -> str:
    start = buffer[:512]
    for magic, kind in _MAGICS:
        if start.startswith(magic):
            return kind
    return "disk" if start[510:512] == b"\x55\xaa" else "unknown"


def _linux_notes(buffer: Buffer) -> dict[str, str]:
    version = elf.read_linux_version(buffer)
    return {"linux.version": version} if version else {}


def _elf_facts(buffer: Buffer, header: ElfHeader, flags: int | None, digest: str) -> ImageFacts:
    kind = f"elf{header.bits}"
    elf_notes = elf.read_notes(buffer, header)
    descriptions = _describe_notes(elf_notes)
    protocols = ["pvh"] if "xen.pvh" in descriptions else []
    if flags is not None:
        protocols.append("multiboot")
    return ImageFacts(
        sha256=digest,
        size=len(buffer),
        kind=kind,
        protocols=tuple(protocols),
        notes=descriptions,
        family=recognise_family(ImageHeader(kind=kind, notes=descriptions, buffer=buffer, elf=header)),
        address_flag=bool(flags and flags & _MULTIBOOT_ADDRESSES),
    )


def _describe_notes(elf_notes: tuple[Note, ...]) -> dict[str, str]:
    """What the notes say, in words. Owners: Xen's ELF notes, Solo5's ABI note (elf_abi.h, 0.12), and ``unictl``."""
    descriptions: dict[str, str] = {}
    for note in elf_notes:
        if note.owner == "Xen" and note.kind == _XEN_PVH and len(note.value) >= 4:
            descriptions["xen.pvh"] = hex(int.from_bytes(note.value[:8], "little"))
        elif note.owner == "Xen" and note.kind == _XEN_GUEST_OS:
            descriptions["xen.guest"] = _printable_text(note.value)
        elif note.owner == "Solo5" and note.kind == _SOLO5_ABI and len(note.value) >= 8:
            target, version = struct.unpack_from("<II", note.value)
            descriptions["solo5.target"] = _SOLO5_TARGETS.get(target, str(target))
            descriptions["solo5.abi"] = str(version)
        elif note.owner == "unictl":
            descriptions["unictl"] = _printable_text(note.value)
    return descriptions


def _printable_text(value: bytes) -> str:
    text = value[:64].split(b"\0", 1)[0].decode("ascii", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)
