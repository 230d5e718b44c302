"""The context of one request: how a handler sends events and data, pulls an upload, and notices a cancellation."""

from __future__ import annotations

import collections
import threading

try:
    # Every survey loads this module; the rest of ``queue`` would cost it most of a millisecond.
    from _queue import SimpleQueue
except ImportError:
    from queue import SimpleQueue

from .. import errors
from . import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator


class RequestContext:
    """What a handler is given beside the request: a way to say something, and to hear that it should stop."""

    def __init__(self, connection: Any, stream: int, request: dict[str, Any]):
        self.connection = connection
        self.stream = stream
        self.request = request
        self.cancelled = threading.Event()
        self.data: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()

    @property
    def lease(self) -> Any:
        """The lease this connection holds, or None."""
        return self.connection.lease

    def send_event(self, document: dict[str, Any]) -> None:
        """Tell the control side something on the way."""
        self.connection.send(frames.pack_frame(self.stream, frames.EVENT, frames.encode_json(document)))

    def send_data(self, offset: int, data: bytes) -> None:
        """Bytes for the control side."""
        self.connection.send(frames.pack_frame(self.stream, frames.DATA, frames.OFFSET.pack(offset) + data))

    def pull(self, ranges: list[tuple[int, int]]) -> Iterator[bytes]:
        """The pieces of ranges (offset, length) of the upload, in order; several are asked for ahead."""
        pieces = _frame_sized(ranges)
        requested: collections.deque[tuple[int, int]] = collections.deque()
        in_flight = 0
        while True:
            while in_flight < frames.PULL_WINDOW and (piece := next(pieces, None)):
                self._request_range(*piece)
                requested.append(piece)
                in_flight += piece[1]
            if not requested:
                return
            offset, length = requested.popleft()
            yield self._next_piece(offset, length)
            in_flight -= length

    def pull_index(self) -> bytes:
        """The list of the upload's blocks."""
        index = b""
        while True:
            self._request_range(len(index), frames.DATA_LIMIT, of="index")
            piece = self._next_piece(len(index), 0)
            index += piece
            if len(piece) < frames.DATA_LIMIT:
                return index

    def _request_range(self, offset: int, length: int, **fields: str) -> None:
        body = frames.encode_json(dict(offset=offset, length=length, **fields))
        self.connection.send(frames.pack_frame(self.stream, frames.WANT, body))

    def _next_piece(self, offset: int, length: int) -> bytes:
        frame = self.data.get()
        if frame is None or self.cancelled.is_set():
            raise errors.HostError("cancelled", "the upload was cancelled; what came so far is kept for the next try")
        received_offset, piece = frames.unpack_data(*frame)
        if received_offset != offset or len(piece) < length:
            raise errors.HostError("damaged", "the file that is sent is shorter than it was said to be", "try again")
        return piece

    def cancel(self) -> None:
        """The control side gave up, or is gone."""
        self.cancelled.set()
        self.data.put(None)


def _frame_sized(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same ranges in pieces that fit a frame."""
    for offset, length in ranges:
        for piece_offset in range(offset, offset + length, frames.DATA_LIMIT):
            yield piece_offset, min(frames.DATA_LIMIT, offset + length - piece_offset)
