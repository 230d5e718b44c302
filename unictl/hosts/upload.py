"""Uploads one file to a host: chunks as the host requests them, compressed while the line is the bottleneck.

Whether compressing pays depends on the line: at 70 MB/s it is slower than a gigabit line and faster than anything
slower. So a chunk is compressed only while more is waiting to leave than leaves in the time it takes. What does not
compress is sent as it is.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from unictl.images.stable_reader import StableReader
from unictl.onhost.protocol import chunks, frames

HIGH_WATER_BYTES, LOW_WATER_BYTES = 1 << 20, 512 << 10
"""Bytes that may wait to leave: above the first nothing is added until it is below the second."""
COMPRESS_ABOVE_BYTES = 384 << 10
"""Bytes waiting to leave above which there is time to compress the next piece: a gigabit takes 3 ms for them."""
MAX_SKIPPED_CHUNKS = 64
"""Pieces in a row that may go out as they are because earlier ones did not compress."""

_block_indexes: dict[tuple[int, ...], bytes] = {}
"""The block lists of files that went to a host of this run, by what the file system says of them."""


class Upload:
    """The source of one request. ``sent_bytes`` counts the bytes of frames that went out for it."""

    def __init__(self, source: StableReader, is_local: bool):
        self.source = source
        self.is_local = is_local
        self.sent_bytes = 0
        self._chunk_requests: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._chunks_to_skip = self._incompressible_chunks = 0
        self._block_index: bytes | None = None

    def request_chunk(self, chunk_request: Mapping[str, Any]) -> None:
        """The host asks for a piece."""
        self._chunk_requests.put_nowait(chunk_request)

    async def run(self, number: int, writer: asyncio.StreamWriter) -> None:
        """Answer what is asked, in order, until cancelled."""
        while True:
            chunk_request = await self._chunk_requests.get()
            chunk = await self._read_chunk(chunk_request)
            kind, body = await self._encode_chunk(
                int(chunk_request["offset"]), chunk, writer.transport.get_write_buffer_size()
            )
            self.sent_bytes += frames.HEADER.size + len(body)
            if writer.is_closing():
                return
            writer.write(frames.pack_frame(number, kind, body))
            await writer.drain()

    async def _read_chunk(self, chunk_request: Mapping[str, Any]) -> bytes:
        """A piece of the file, or of the list of its blocks; OSError where it is not what it was any more."""
        offset, length = int(chunk_request["offset"]), min(int(chunk_request["length"]), frames.DATA_LIMIT)
        if chunk_request.get("of") == "index":
            if self._block_index is None:
                self._block_index = await asyncio.to_thread(block_index, self.source)
            return self._block_index[offset : offset + length]
        return self.source.read(offset, length)

    async def _encode_chunk(self, offset: int, chunk: bytes, waiting_bytes: int) -> tuple[int, bytes]:
        if self.is_local or waiting_bytes < COMPRESS_ABOVE_BYTES:
            return frames.DATA, frames.OFFSET.pack(offset) + chunk
        if self._chunks_to_skip:
            self._chunks_to_skip -= 1
            return frames.DATA, frames.OFFSET.pack(offset) + chunk
        kind, body = await asyncio.to_thread(frames.pack_data, offset, chunk)
        self._incompressible_chunks = 0 if kind == frames.DEFLATED else self._incompressible_chunks + 1
        self._chunks_to_skip = min(MAX_SKIPPED_CHUNKS, (1 << self._incompressible_chunks) - 1)
        return kind, body


def block_index(source: StableReader) -> bytes:
    """The list of a file's blocks; made once for all hosts that ask. OSError where it changes meanwhile."""
    cached_index = _block_indexes.get(source.stamp)
    if cached_index is None:
        cached_index = chunks.encode_index(source.read)
        if source.is_file:
            _block_indexes[source.stamp] = cached_index
    return cached_index
