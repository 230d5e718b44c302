"""Images made of bytes: the smallest files that carry a boot header, and one that boots."""

import struct
from collections.abc import Sequence

Note = tuple[str, int, bytes]
PVH: Note = ("Xen", 18, struct.pack("<I", 0x100000))


def elf(*, bits: int = 64, notes: Sequence[Note] = (), sections: Sequence[str] = (), body: bytes = b"") -> bytes:
    """An ELF for x86 whose notes stand in one PT_NOTE segment; ``body`` follows at 4 KiB, loaded at 1 MiB."""
    packed = b"".join(_note(note) for note in notes)
    head, program = (52, 32) if bits == 32 else (64, 56)
    notes_at = head + 2 * program
    names = b"\0" + b"\0".join(name.encode() for name in (*sections, ".shstrtab")) + b"\0"
    names_at = notes_at + len(packed)
    sections_at = (names_at + len(names) + 7) & -8
    rows = _segment(bits, 1, 0x1000, len(body), 0x100000) + _segment(bits, 4, notes_at, len(packed), 0x200)
    table = _sections(bits, sections, names, names_at)
    start = _header(bits, head, sections_at, len(sections) + 2) + rows + packed + names
    whole = start.ljust(sections_at, b"\0") + table
    return whole.ljust(0x1000, b"\0") + body if body else whole


def _header(bits: int, size: int, sections_at: int, sections: int) -> bytes:
    form, program, section = ("<HHIIIIIHHHHHH", 32, 40) if bits == 32 else ("<HHIQQQIHHHHHH", 56, 64)
    ident = b"\x7fELF" + bytes((bits // 32, 1, 1)) + bytes(9)
    machine = 3 if bits == 32 else 62
    row = (2, machine, 1, 0x100000, size, sections_at, 0, size, program, 2, section, sections, sections - 1)
    return ident + struct.pack(form, *row)


def _segment(bits: int, kind: int, at: int, size: int, address: int) -> bytes:
    if bits == 32:
        return struct.pack("<8I", kind, at, address, address, size, size, 7, 4)
    return struct.pack("<IIQQQQQQ", kind, 7, at, address, address, size, size, 4)


def _sections(bits: int, names: Sequence[str], text: bytes, at: int) -> bytes:
    form = "<10I" if bits == 32 else "<IIQQQQIIQQ"
    rows = [struct.pack(form, *([0] * 10))]
    rows += [struct.pack(form, text.index(name.encode()), 1, 0, 0, 0, 0, 0, 0, 1, 0) for name in names]
    rows.append(struct.pack(form, text.index(b".shstrtab"), 3, 0, 0, at, len(text), 0, 0, 1, 0))
    return b"".join(rows)


def _note(note: Note) -> bytes:
    owner, kind, value = note[0].encode() + b"\0", note[1], note[2]
    head = struct.pack("<III", len(owner), len(value), kind)
    return head + owner.ljust((len(owner) + 3) & -4, b"\0") + value.ljust((len(value) + 3) & -4, b"\0")


def multiboot(*, flags: int = 0) -> bytes:
    """A multiboot 1 header."""
    return struct.pack("<III", 0x1BADB002, flags, -(0x1BADB002 + flags) & 0xFFFFFFFF)


def bzimage(version: str = "6.1.0-test") -> bytes:
    """The boot header of a bzImage that names its version."""
    image = bytearray(0x400)
    image[510:512] = b"\x55\xaa"
    image[0x202:0x206] = b"HdrS"
    image[0x20E:0x210] = struct.pack("<H", 0x100)
    text = f"{version} (somebody@somewhere) #1".encode()
    image[0x300 : 0x300 + len(text)] = text
    return bytes(image)


def disk() -> bytes:
    """A master boot record."""
    return b"\xfa\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa"


# next: lodsb; test al,al; jz end; mov ah,al; mov dx,0x3fd; wait: in al,dx; test al,0x20; jz wait;
#       mov al,ah; mov dx,0x3f8; out dx,al; jmp next
# end:  mov dx,0x3fd; last: in al,dx; test al,0x40; jz last; mov dx,0x501
_SAY = bytes.fromhex("ac84c0741488c466bafd03eca82074fb88e066baf803eeebe766bafd03eca84074fb66ba0105")
_HALT = bytes.fromhex("f4ebfd")


def echo(code: int) -> bytes:
    """A guest that boots by PVH: writes its command line to COM1, then ``code`` to the exit port."""
    # mov esi,[ebx+24] ... mov eax,code; out dx,eax; hlt; jmp $-1
    body = b"\x8b\x73\x18" + _SAY + b"\xb8" + struct.pack("<I", code) + b"\xef" + _HALT
    return elf(bits=32, notes=(PVH,), body=body)


# mov esp,0x180000; xor edi,edi; line: mov ecx,8; mov ebx,edi; digit: rol ebx,4; mov al,bl; and al,0xf; add al,'a';
# call put; dec ecx; jnz digit; mov al,10; call put; inc edi; jmp line
# put: mov ah,al; mov dx,0x3fd; wait: in al,dx; test al,0x20; jz wait; mov al,ah; mov dx,0x3f8; out dx,al; ret
_COUNT = bytes.fromhex("bc0000180031ffb90800000089fbc1c30488d8240f0461e80d0000004975efb00ae80300000047ebde")
_PUT = bytes.fromhex("88c466bafd03eca82074fb88e066baf803eec3")


def counting() -> bytes:
    """A guest that counts for ever, as fast as COM1 takes it: lines of eight digits, ``a`` to ``p``."""
    return elf(bits=32, notes=(PVH,), body=_COUNT + _PUT)


def multiboot_echo(code: int) -> bytes:
    """The same by multiboot, with an exit port of 16 bits, as Unikraft uses it."""
    # mov esi,[ebx+16] ... mov ax,code; out dx,ax; hlt; jmp $-1
    body = b"\x8b\x73\x10" + _SAY + b"\x66\xb8" + struct.pack("<H", code) + b"\x66\xef" + _HALT
    return elf(bits=32, body=body.ljust(64, b"\0") + multiboot())
