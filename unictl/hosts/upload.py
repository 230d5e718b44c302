"""Uploads one file to a host: chunks as the host requests them, compressed while the line is the bottleneck.

Whether compressing pays depends on the line: at 70 MB/s it is slower than a gigabit line and faster than
anything slower. So a chunk is compressed only while more is waiting to leave than leaves in the time it takes.
What does not compress is sent as it is.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from unictl.images.stable_reader import Steady
from unictl.onhost.protocol import chunks, frames

HIGH, LOW = 1 << 20, 512 << 10
"""Bytes that may wait to leave: above the first nothing is added until it is below the second."""
BUSY = 384 << 10
"""Bytes waiting to leave above which there is time to compress the next piece: a gigabit takes 3 ms for them."""
STUBBORN = 64
"""Pieces in a row that may go out as they are because earlier ones did not compress."""

_indexes: dict[tuple[int, ...], bytes] = {}
"""The block lists of files that went to a host of this run, by what the file system says of them."""


class Upload:
    """The source of one request. ``sent`` counts the bytes of frames that went out for it."""

    def __init__(self, source: Steady, near: bool):
        self.source = source
        self.near = near
        self.sent = 0
        self._wants: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._skip = self._misses = 0
        self._index: bytes | None = None

    def want(self, asked: Mapping[str, Any]) -> None:
        """The host asks for a piece."""
        self._wants.put_nowait(asked)

    async def run(self, number: int, writer: asyncio.StreamWriter) -> None:
        """Answer what is asked, in order, until cancelled."""
        while True:
            asked = await self._wants.get()
            piece = await self._read(asked)
            kind, body = await self._packed(int(asked["offset"]), piece, writer.transport.get_write_buffer_size())
            self.sent += frames.HEAD.size + len(body)
            if writer.is_closing():
                return
            writer.write(frames.frame(number, kind, body))
            await writer.drain()

    async def _read(self, asked: Mapping[str, Any]) -> bytes:
        """A piece of the file, or of the list of its blocks; OSError where it is not what it was any more."""
        offset, length = int(asked["offset"]), min(int(asked["length"]), frames.DATA_LIMIT)
        if asked.get("of") == "index":
            if self._index is None:
                self._index = await asyncio.to_thread(index, self.source)
            return self._index[offset : offset + length]
        return self.source.read(offset, length)

    async def _packed(self, offset: int, piece: bytes, waiting: int) -> tuple[int, bytes]:
        if self.near or waiting < BUSY:
            return frames.DATA, frames.OFFSET.pack(offset) + piece
        if self._skip:
            self._skip -= 1
            return frames.DATA, frames.OFFSET.pack(offset) + piece
        kind, body = await asyncio.to_thread(frames.deflated, offset, piece)
        self._misses = 0 if kind == frames.DEFLATED else self._misses + 1
        self._skip = min(STUBBORN, (1 << self._misses) - 1)
        return kind, body


def index(source: Steady) -> bytes:
    """The list of a file's blocks; made once for all hosts that ask. OSError where it changes meanwhile."""
    found = _indexes.get(source.stamp)
    if found is None:
        found = chunks.index(source.read)
        if source.is_file:
            _indexes[source.stamp] = found
    return found
