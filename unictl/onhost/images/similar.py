"""Chunks that a new image shares with stored images: they are copied from those and not sent.

The stored files are read, never mapped: a disk error must not kill this process.
"""

from __future__ import annotations

import os

from ..protocol import chunks, frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator


class Alike:
    """The blocks of stored images, by hash."""

    def __init__(self, root: layout.Root, like: Any):
        self._files: list[int] = []
        self._places: dict[bytes, tuple[int, int, int]] = {}
        for sha in like:
            try:
                self._add(f"{root.images}/{layout.digest(sha)}")
            except (OSError, frames.Problem):
                continue

    def _add(self, path: str) -> None:
        descriptor = guarded_read.plain(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._files.append(descriptor)
        for at, length, name in chunks.cuts(lambda at, length: os.pread(descriptor, length, at)):
            self._places.setdefault(name, (descriptor, at, length))

    def pieces(self, have: int, size: int, call: Any) -> Iterator[bytes]:
        """What comes behind the first ``have`` bytes, in order: from here where it is known, pulled where it is not."""
        rows = self._rows(have, size, call) if self._places else [(have, size - have, b"")]
        pulled = call.pull([(at, length) for at, length, name in rows if not name])
        for _, length, name in rows:
            if name:
                yield self._read(name)
                continue
            left = length
            while left > 0:
                came = next(pulled)
                left -= len(came)
                yield came

    def _rows(self, have: int, size: int, call: Any) -> list[tuple[int, int, bytes]]:
        """(offset, length, hash or nothing) of everything behind ``have``; neighbours that must travel do so as one."""
        rows: list[tuple[int, int, bytes]] = []
        at = 0
        for length, block in chunks.read(call.index()):
            end = at + length
            name = block if at >= have and block in self._places else b""
            begin = max(at, have)
            if not name and rows and not rows[-1][2]:
                rows[-1] = (rows[-1][0], end - rows[-1][0], b"")
            elif end > begin:
                rows.append((begin, end - begin, name))
            at = end
        return rows if at == size else [(have, size - have, b"")]

    def _read(self, name: bytes) -> bytes:
        """The bytes of a block. Others in their place, as many, are found by the digest of the whole."""
        descriptor, at, length = self._places[name]
        try:
            return os.pread(descriptor, length, at).ljust(length, b"\0")
        except OSError:
            return bytes(length)

    def close(self) -> None:
        """Nothing is read any more."""
        for descriptor in self._files:
            os.close(descriptor)
