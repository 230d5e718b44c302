"""Chunks that a new image shares with stored images: they are copied from those and not sent.

The stored files are read, never mapped: a disk error must not kill this process.
"""

from __future__ import annotations

import os

from .. import errors
from ..protocol import chunks
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from ..protocol.request_context import RequestContext


class ChunkIndex:
    """The blocks of stored images, by hash."""

    def __init__(self, root: layout.StoreLayout, similar_digests: Any):
        self._files: list[int] = []
        self._locations: dict[bytes, tuple[int, int, int]] = {}
        for digest in similar_digests:
            try:
                self._add_file(f"{root.images}/{layout.checked_digest(digest)}")
            except (OSError, errors.HostError):
                continue

    def _add_file(self, path: str) -> None:
        descriptor = guarded_read.open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._files.append(descriptor)
        for offset, length, chunk in chunks.split(lambda offset, length: os.pread(descriptor, length, offset)):
            self._locations.setdefault(chunk, (descriptor, offset, length))

    def pieces(self, start_offset: int, size: int, context: RequestContext) -> Iterator[bytes]:
        """What comes behind the first ``start_offset`` bytes, in order: from here where it is known, pulled where it is
        not.
        """
        ranges = (
            self._plan_ranges(start_offset, size, context)
            if self._locations
            else [(start_offset, size - start_offset, b"")]
        )
        pulled = context.pull([(offset, length) for offset, length, chunk in ranges if not chunk])
        for _, length, chunk in ranges:
            if chunk:
                yield self._read_chunk(chunk)
                continue
            remaining = length
            while remaining > 0:
                piece = next(pulled)
                remaining -= len(piece)
                yield piece

    def _plan_ranges(self, start_offset: int, size: int, context: RequestContext) -> list[tuple[int, int, bytes]]:
        """(offset, length, hash or nothing) of everything behind ``start_offset``; neighbours that must travel do so as
        one.
        """
        ranges: list[tuple[int, int, bytes]] = []
        position = 0
        for length, chunk in chunks.decode_index(context.pull_index()):
            end = position + length
            local_chunk = chunk if position >= start_offset and chunk in self._locations else b""
            start = max(position, start_offset)
            if not local_chunk and ranges and not ranges[-1][2]:
                ranges[-1] = (ranges[-1][0], end - ranges[-1][0], b"")
            elif end > start:
                ranges.append((start, end - start, local_chunk))
            position = end
        return ranges if position == size else [(start_offset, size - start_offset, b"")]

    def _read_chunk(self, chunk: bytes) -> bytes:
        """The bytes of a block. Others in their place, as many, are found by the digest of the whole."""
        descriptor, offset, length = self._locations[chunk]
        try:
            return os.pread(descriptor, length, offset).ljust(length, b"\0")
        except OSError:
            return bytes(length)

    def close(self) -> None:
        """Nothing is read any more."""
        for descriptor in self._files:
            os.close(descriptor)
