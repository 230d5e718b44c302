"""Content-defined chunking, so that only the changed parts of an image are sent. Used by both ends.

Boundaries depend on the content, not on offsets: an insertion or a removal moves only the boundaries next to it. A
boundary lies after a byte ``e`` if the checksum of the bytes before it ends in zeros. Finding one byte runs at the
speed of memchr, and about one in 32 of them becomes a boundary. Chunks are compared by 16 bytes of BLAKE2b; the
assembled file is verified as a whole.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator

MIN_CHUNK = 4 << 10
MAX_CHUNK = 64 << 10
MIN_FILE_SIZE = 1 << 20
"""Bytes of an image from which on it is worth asking for its blocks."""
_ANCHOR = re.compile(b"e")
_WINDOW = 32
_MASK = 0x1F
_MAX_ANCHORS = 1024
"""Bytes ``e`` looked at for one block: an image full of them must not take minutes."""
_HASH_SIZE = 16
_READ_SIZE = 1 << 20
_ENTRY = struct.Struct(">I16s")


def split(read_at: Callable[[int, int], bytes]) -> Iterator[tuple[int, int, bytes]]:
    """(offset, length, hash) of every block, in order, of what ``decode_index`` gives by offset and length.

    It gives nothing at the end. A window of it is held, not all: a block depends on no byte beyond the longest that it
    could be.
    """
    base, start, data, has_more = 0, 0, b"", True
    while True:
        while has_more and len(data) - start < MAX_CHUNK:
            piece = read_at(base + len(data), _READ_SIZE)
            base, data, start, has_more = base + start, data[start:] + piece, 0, bool(piece)
        if start == len(data):
            return
        end = _chunk_end(data, start)
        yield base + start, end - start, hashlib.blake2b(data[start:end], digest_size=_HASH_SIZE).digest()
        start = end


def _chunk_end(data: bytes, start: int) -> int:
    """Where the block that begins there ends."""
    position, limit = start + MIN_CHUNK, min(start + MAX_CHUNK, len(data))
    for _ in range(_MAX_ANCHORS):
        anchor = _ANCHOR.search(data, position, limit)
        if anchor is None:
            return limit
        position = anchor.end()
        if not zlib.crc32(data[position - _WINDOW : position]) & _MASK:
            return position
    return limit


def encode_index(read_at: Callable[[int, int], bytes]) -> bytes:
    """The blocks of the same as they travel: 20 bytes each."""
    return b"".join(_ENTRY.pack(length, digest) for _, length, digest in split(read_at))


def decode_index(data: bytes) -> list[tuple[int, bytes]]:
    """(length, hash) of every block of an index; what is left of a torn row is ignored."""
    size = len(data) - len(data) % _ENTRY.size
    return list(_ENTRY.iter_unpack(data[:size]))
