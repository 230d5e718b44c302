"""Content-defined chunking, so that only the changed parts of an image are sent. Used by both ends.

Boundaries depend on the content, not on offsets: an insertion or a removal moves only the boundaries next to it. A
boundary lies after a byte ``e`` if the checksum of the bytes before it ends in zeros. Finding one byte runs at the
speed
of memchr, and about one in 32 of them becomes a boundary. Chunks are compared by 16 bytes of BLAKE2b; the assembled
file
is verified as a whole.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator

SMALLEST = 4 << 10
LARGEST = 64 << 10
WORTH = 1 << 20
"""Bytes of an image from which on it is worth asking for its blocks."""
_ANCHOR = re.compile(b"e")
_WINDOW = 32
_MASK = 0x1F
_TRIES = 1024
"""Bytes ``e`` looked at for one block: an image full of them must not take minutes."""
_HASH = 16
_PIECE = 1 << 20
_ROW = struct.Struct(">I16s")


def cuts(read: Callable[[int, int], bytes]) -> Iterator[tuple[int, int, bytes]]:
    """(offset, length, hash) of every block of what ``read`` gives by offset and length, nothing at the end; in order.

    A window of it is held, not all: a block depends on no byte beyond the longest that it could be.
    """
    base, begin, data, more = 0, 0, b"", True
    while True:
        while more and len(data) - begin < LARGEST:
            piece = read(base + len(data), _PIECE)
            base, data, begin, more = base + begin, data[begin:] + piece, 0, bool(piece)
        if begin == len(data):
            return
        at = _next(data, begin)
        yield base + begin, at - begin, hashlib.blake2b(data[begin:at], digest_size=_HASH).digest()
        begin = at


def _next(data: bytes, begin: int) -> int:
    """Where the block that begins there ends."""
    at, last = begin + SMALLEST, min(begin + LARGEST, len(data))
    for _ in range(_TRIES):
        found = _ANCHOR.search(data, at, last)
        if found is None:
            return last
        at = found.end()
        if not zlib.crc32(data[at - _WINDOW : at]) & _MASK:
            return at
    return last


def index(read: Callable[[int, int], bytes]) -> bytes:
    """The blocks of the same as they travel: 20 bytes each."""
    return b"".join(_ROW.pack(length, name) for _, length, name in cuts(read))


def read(told: bytes) -> list[tuple[int, bytes]]:
    """(length, hash) of every block of an index; what is left of a torn row is ignored."""
    whole = len(told) - len(told) % _ROW.size
    return list(_ROW.iter_unpack(told[:whole]))
