"""The context of one request: how a handler sends events and data, pulls an upload, and notices a cancellation."""

from __future__ import annotations

import collections
import queue
import threading

from . import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator


class Call:
    """What a handler is given beside the request: a way to say something, and to hear that it should stop."""

    def __init__(self, connection: Any, stream: int, ask: dict[str, Any]):
        self.connection = connection
        self.stream = stream
        self.ask = ask
        self.cancelled = threading.Event()
        self.data: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()

    @property
    def lease(self) -> Any:
        """The lease this connection holds, or None."""
        return self.connection.lease

    def event(self, document: dict[str, Any]) -> None:
        """Tell the control side something on the way."""
        self.connection.send(frames.frame(self.stream, frames.EVENT, frames.encode(document)))

    def give(self, offset: int, piece: bytes) -> None:
        """Bytes for the control side."""
        self.connection.send(frames.frame(self.stream, frames.DATA, frames.OFFSET.pack(offset) + piece))

    def pull(self, ranges: list[tuple[int, int]]) -> Iterator[bytes]:
        """The pieces of ranges (offset, length) of the upload, in order; several are asked for ahead."""
        wanted = _pieces(ranges)
        asked: collections.deque[tuple[int, int]] = collections.deque()
        ahead = 0
        while True:
            while ahead < frames.AHEAD and (piece := next(wanted, None)):
                self._want(*piece)
                asked.append(piece)
                ahead += piece[1]
            if not asked:
                return
            at, length = asked.popleft()
            yield self._piece(at, length)
            ahead -= length

    def index(self) -> bytes:
        """The list of the upload's blocks."""
        told = b""
        while True:
            self._want(len(told), frames.DATA_LIMIT, of="index")
            piece = self._piece(len(told), 0)
            told += piece
            if len(piece) < frames.DATA_LIMIT:
                return told

    def _want(self, offset: int, length: int, **more: str) -> None:
        body = frames.encode(dict(offset=offset, length=length, **more))
        self.connection.send(frames.frame(self.stream, frames.WANT, body))

    def _piece(self, at: int, length: int) -> bytes:
        told = self.data.get()
        if told is None or self.cancelled.is_set():
            raise frames.Problem("cancelled", "the upload was cancelled; what came so far is kept for the next try")
        offset, piece = frames.piece(*told)
        if offset != at or len(piece) < length:
            raise frames.Problem("damaged", "the file that is sent is shorter than it was said to be", "try again")
        return piece

    def cancel(self) -> None:
        """The control side gave up, or is gone."""
        self.cancelled.set()
        self.data.put(None)


def _pieces(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same ranges in pieces that fit a frame."""
    for offset, length in ranges:
        for at in range(offset, offset + length, frames.DATA_LIMIT):
            yield at, min(frames.DATA_LIMIT, offset + length - at)
