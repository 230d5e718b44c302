"""ELF files and boot headers from bytes, or a file read as such: hostile input gives less, never an error. Pure.

Only offsets that lie inside the buffer are read, and no table is walked further than its bound.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class Buffer(Protocol):
    """Bytes by their place; what lies behind the end is not there."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: slice, /) -> bytes: ...


_HEADERS = 256
_NOTES = 1024
_NOTE_BYTES = 1 << 20
_PT_INTERP, _PT_NOTE = 3, 4
_SHT_NOTE = 7


@dataclass(frozen=True, slots=True)
class Elf:
    """The header of an ELF file: ``bits`` is 32 or 64; offsets and sizes as the file claims them."""

    bits: int
    machine: int
    osabi: int
    entry: int
    segments_at: int
    segment_size: int
    segments: int
    sections_at: int
    section_size: int
    sections: int
    names_index: int


@dataclass(frozen=True, slots=True)
class Note:
    """One ELF note."""

    owner: str
    kind: int
    value: bytes


def number(buffer: Buffer, form: str, offset: int) -> int | None:
    """The little-endian number of struct form ``form`` at ``offset``; None outside the buffer."""
    end = offset + struct.calcsize("<" + form)
    if offset < 0 or end > len(buffer):
        return None
    value: int = struct.unpack("<" + form, buffer[offset:end])[0]
    return value


def header(buffer: Buffer) -> Elf | None:
    """The ELF header; None where ``buffer`` is no little-endian ELF of 32 or 64 bits."""
    start = buffer[:64]
    if start[:4] != b"\x7fELF" or len(start) < 52 or start[5:6] != b"\x01":
        return None
    if start[4] == 1:
        form, bits = "<HHIIIIIHHHHHH", 32
    elif start[4] == 2 and len(start) == 64:
        form, bits = "<HHIQQQIHHHHHH", 64
    else:
        return None
    row = struct.unpack_from(form, start, 16)
    return Elf(
        bits=bits,
        machine=row[1],
        osabi=start[7],
        entry=row[3],
        segments_at=row[4],
        sections_at=row[5],
        segment_size=row[8],
        segments=min(row[9], _HEADERS),
        section_size=row[10],
        sections=min(row[11], _HEADERS),
        names_index=row[12],
    )


def _segments(buffer: Buffer, elf: Elf) -> Iterator[tuple[int, int, int, int]]:
    """(type, offset, size, alignment) of each program header inside the buffer."""
    form = "<IIIIIIII" if elf.bits == 32 else "<IIQQQQQQ"
    need = struct.calcsize(form)
    for index in range(elf.segments):
        at = elf.segments_at + index * elf.segment_size
        if elf.segment_size < need or at + need > len(buffer):
            return
        row = struct.unpack(form, buffer[at : at + need])
        yield (row[0], row[1], row[4], row[7]) if elf.bits == 32 else (row[0], row[2], row[5], row[7])


def _sections(buffer: Buffer, elf: Elf) -> Iterator[tuple[int, int, int, int, int]]:
    """(name offset, type, offset, size, alignment) of each section header inside the buffer."""
    form = "<IIIIIIIIII" if elf.bits == 32 else "<IIQQQQIIQQ"
    need = struct.calcsize(form)
    for index in range(elf.sections):
        at = elf.sections_at + index * elf.section_size
        if elf.section_size < need or at + need > len(buffer):
            return
        row = struct.unpack(form, buffer[at : at + need])
        yield row[0], row[1], row[4], row[5], row[8]


def interpreter(buffer: Buffer, elf: Elf) -> str:
    """The path in PT_INTERP, at most 255 bytes of it; empty without one."""
    for kind, offset, size, _ in _segments(buffer, elf):
        if kind == _PT_INTERP:
            return _text(buffer[offset : offset + min(size, 255)])
    return ""


def section_names(buffer: Buffer, elf: Elf) -> frozenset[str]:
    """The names of the file's sections; empty where it is stripped of them."""
    rows = list(_sections(buffer, elf))
    if elf.names_index >= len(rows):
        return frozenset()
    _, _, start, size, _ = rows[elf.names_index]
    end = min(start + size, len(buffer))
    return frozenset(_text(buffer[start + name : min(start + name + 64, end)]) for name, *_ in rows)


def notes(buffer: Buffer, elf: Elf) -> tuple[Note, ...]:
    """The notes of all PT_NOTE segments, or of the note sections where no segment holds any."""
    places = [(at, size, align) for kind, at, size, align in _segments(buffer, elf) if kind == _PT_NOTE]
    if not places:
        places = [(at, size, align) for _, kind, at, size, align in _sections(buffer, elf) if kind == _SHT_NOTE]
    found: list[Note] = []
    for at, size, align in places:
        for note in _walk(buffer[at : at + min(size, _NOTE_BYTES)], 8 if align == 8 else 4):
            found.append(note)
            if len(found) == _NOTES:
                return tuple(found)
    return tuple(found)


def _walk(data: bytes, align: int) -> Iterator[Note]:
    at = 0
    while at + 12 <= len(data):
        owner_size, size, kind = struct.unpack_from("<III", data, at)
        owner_at = at + 12
        value_at = _aligned(owner_at + owner_size, align)
        end = value_at + size
        if end > len(data):
            return
        yield Note(_text(data[owner_at : owner_at + min(owner_size, 64)]), kind, data[value_at:end])
        at = _aligned(end, align)


def _aligned(offset: int, align: int) -> int:
    return (offset + align - 1) & -align


def _text(data: bytes) -> str:
    """Printable ASCII up to the first zero byte; other bytes become ``?``."""
    word = data.split(b"\0", 1)[0]
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in word)


def multiboot(buffer: Buffer) -> int | None:
    """The flags of a multiboot 1 header, searched as QEMU does: 4-byte steps in the first 8 KiB, checksum right."""
    start = buffer[:8192]
    at = start.find(b"\x02\xb0\xad\x1b")
    while at != -1 and at + 12 <= len(start):
        magic, flags, checksum = struct.unpack_from("<III", start, at)
        if at % 4 == 0 and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return int(flags)
        at = start.find(b"\x02\xb0\xad\x1b", at + 1)
    return None


def linux_version(buffer: Buffer) -> str:
    """The version a bzImage names (``6.1.0-18-amd64``): the boot header's kernel_version points to it."""
    at = number(buffer, "H", 0x20E)
    if not at:
        return ""
    return _text(buffer[at + 0x200 : at + 0x200 + 127]).split(" ", 1)[0]
