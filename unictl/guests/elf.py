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


_MAX_HEADERS = 256
_MAX_NOTES = 1024
_MAX_NOTE_BYTES = 1 << 20
_PT_INTERP, _PT_NOTE = 3, 4
_SHT_NOTE = 7


@dataclass(frozen=True, slots=True)
class ElfHeader:
    """The header of an ELF file: ``bits`` is 32 or 64; offsets and sizes as the file claims them."""

    bits: int
    machine: int
    osabi: int
    entry: int
    segments_offset: int
    segment_size: int
    segment_count: int
    sections_offset: int
    section_size: int
    section_count: int
    names_section_index: int


@dataclass(frozen=True, slots=True)
class Note:
    """One ELF note."""

    owner: str
    kind: int
    value: bytes


def read_number(buffer: Buffer, form: str, offset: int) -> int | None:
    """The little-endian number of struct form ``form`` at ``offset``; None outside the buffer."""
    end = offset + struct.calcsize("<" + form)
    if offset < 0 or end > len(buffer):
        return None
    value: int = struct.unpack("<" + form, buffer[offset:end])[0]
    return value


def read_header(buffer: Buffer) -> ElfHeader | None:
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
    values = struct.unpack_from(form, start, 16)
    return ElfHeader(
        bits=bits,
        machine=values[1],
        osabi=start[7],
        entry=values[3],
        segments_offset=values[4],
        sections_offset=values[5],
        segment_size=values[8],
        segment_count=min(values[9], _MAX_HEADERS),
        section_size=values[10],
        section_count=min(values[11], _MAX_HEADERS),
        names_section_index=values[12],
    )


def _read_segments(buffer: Buffer, elf: ElfHeader) -> Iterator[tuple[int, int, int, int]]:
    """(type, offset, size, alignment) of each program header inside the buffer."""
    form = "<IIIIIIII" if elf.bits == 32 else "<IIQQQQQQ"
    entry_size = struct.calcsize(form)
    for index in range(elf.segment_count):
        position = elf.segments_offset + index * elf.segment_size
        if elf.segment_size < entry_size or position + entry_size > len(buffer):
            return
        values = struct.unpack(form, buffer[position : position + entry_size])
        yield (
            (values[0], values[1], values[4], values[7])
            if elf.bits == 32
            else (values[0], values[2], values[5], values[7])
        )


def _read_sections(buffer: Buffer, elf: ElfHeader) -> Iterator[tuple[int, int, int, int, int]]:
    """(name offset, type, offset, size, alignment) of each section header inside the buffer."""
    form = "<IIIIIIIIII" if elf.bits == 32 else "<IIQQQQIIQQ"
    entry_size = struct.calcsize(form)
    for index in range(elf.section_count):
        position = elf.sections_offset + index * elf.section_size
        if elf.section_size < entry_size or position + entry_size > len(buffer):
            return
        values = struct.unpack(form, buffer[position : position + entry_size])
        yield values[0], values[1], values[4], values[5], values[8]


def read_interpreter(buffer: Buffer, elf: ElfHeader) -> str:
    """The path in PT_INTERP, at most 255 bytes of it; empty without one."""
    for kind, offset, size, _ in _read_segments(buffer, elf):
        if kind == _PT_INTERP:
            return _printable_text(buffer[offset : offset + min(size, 255)])
    return ""


def read_section_names(buffer: Buffer, elf: ElfHeader) -> frozenset[str]:
    """The names of the file's sections; empty where it is stripped of them."""
    headers = list(_read_sections(buffer, elf))
    if elf.names_section_index >= len(headers):
        return frozenset()
    _, _, start, size, _ = headers[elf.names_section_index]
    end = min(start + size, len(buffer))
    return frozenset(_printable_text(buffer[start + name : min(start + name + 64, end)]) for name, *_ in headers)


def read_notes(buffer: Buffer, elf: ElfHeader) -> tuple[Note, ...]:
    """The notes of all PT_NOTE segments, or of the note sections where no segment holds any."""
    places = [(offset, size, align) for kind, offset, size, align in _read_segments(buffer, elf) if kind == _PT_NOTE]
    if not places:
        places = [
            (offset, size, align) for _, kind, offset, size, align in _read_sections(buffer, elf) if kind == _SHT_NOTE
        ]
    notes_so_far: list[Note] = []
    for offset, size, align in places:
        for note in _parse_notes(buffer[offset : offset + min(size, _MAX_NOTE_BYTES)], 8 if align == 8 else 4):
            notes_so_far.append(note)
            if len(notes_so_far) == _MAX_NOTES:
                return tuple(notes_so_far)
    return tuple(notes_so_far)


def _parse_notes(data: bytes, align: int) -> Iterator[Note]:
    position = 0
    while position + 12 <= len(data):
        owner_size, size, kind = struct.unpack_from("<III", data, position)
        owner_at = position + 12
        value_at = _align(owner_at + owner_size, align)
        end = value_at + size
        if end > len(data):
            return
        yield Note(_printable_text(data[owner_at : owner_at + min(owner_size, 64)]), kind, data[value_at:end])
        position = _align(end, align)


def _align(offset: int, align: int) -> int:
    return (offset + align - 1) & -align


def _printable_text(data: bytes) -> str:
    """Printable ASCII up to the first zero byte; other bytes become ``?``."""
    word = data.split(b"\0", 1)[0]
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in word)


def find_multiboot_flags(buffer: Buffer) -> int | None:
    """The flags of a multiboot 1 header, searched as QEMU does: 4-byte steps in the first 8 KiB, checksum right."""
    start = buffer[:8192]
    position = start.find(b"\x02\xb0\xad\x1b")
    while position != -1 and position + 12 <= len(start):
        magic, flags, checksum = struct.unpack_from("<III", start, position)
        if position % 4 == 0 and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return int(flags)
        position = start.find(b"\x02\xb0\xad\x1b", position + 1)
    return None


def read_linux_version(buffer: Buffer) -> str:
    """The version a bzImage names (``6.1.0-18-amd64``): the boot header's kernel_version points to it."""
    version_pointer = read_number(buffer, "H", 0x20E)
    if not version_pointer:
        return ""
    return _printable_text(buffer[version_pointer + 0x200 : version_pointer + 0x200 + 127]).split(" ", 1)[0]
