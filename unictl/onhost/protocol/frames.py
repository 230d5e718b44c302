"""Framing of the wire protocol: packing, unpacking, reading and writing frames. Used by both ends.

A frame is ``>IIB`` (length of the body, stream, kind) followed by its body. The control side chooses the stream
numbers
and never reuses one; stream 0 is the connection itself (hello, pings). Bodies are JSON, except for DATA (eight
bytes of
offset, then the bytes) and DEFLATED (the same with compressed bytes). A WANT requests a range of the file being
uploaded,
or, with ``of: index``, a range of its chunk index. A request or reply that does not fit in one frame is sent as
PARTs,
followed by the REQUEST or REPLY.
"""

from __future__ import annotations

import json
import os
import select
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEAD = struct.Struct(">IIB")
OFFSET = struct.Struct(">Q")

REQUEST, REPLY, EVENT, PART, WANT, DATA, DEFLATED, CANCEL, PING = b"QREFWDZCP"

BODY_LIMIT = 1 << 20
"""Longest body of a control frame; a longer one is a broken conversation."""
DATA_LIMIT = 256 << 10
"""Longest chunk of bytes in one DATA frame, and of a request or reply in one frame."""
MESSAGE_LIMIT = 16 << 20
"""Longest request; a host holds no more than that of those that are on their way to it."""
AHEAD = 8 << 20
"""Bytes of an upload that may be wanted and not yet here."""
PING_EVERY = 5.0
SILENCE = 20.0
"""Seconds without a frame after which the other end counts as gone."""
PREAMBLE = b"\0unictl "

PROBLEM_KINDS = (
    "no-room",
    "no-image",
    "taken",
    "busy",
    "lost-lease",
    "not-found",
    "damaged",
    "unsupported",
    "failed",
    "cancelled",
    "newer-format",
    "renamed",
)


class Problem(Exception):
    """Something the control side tells its user: ``text`` says what is wrong, ``hint`` what to do."""

    def __init__(self, kind: str, text: str, hint: str = "", path: str | None = None, errno: int | None = None):
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.hint = hint
        self.path = path
        self.errno = errno

    def document(self) -> dict[str, Any]:
        """The JSON form of a reply's ``problem``."""
        row: dict[str, Any] = {"kind": self.kind, "text": self.text, "hint": self.hint}
        if self.path is not None:
            row["path"] = self.path
        if self.errno is not None:
            row["errno"] = self.errno
        return row


class Ended(Exception):
    """The other end closed the conversation."""


def encode(value: Any) -> bytes:
    """A JSON body: compact, no NaN."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def frame(stream: int, kind: int, body: bytes = b"") -> bytes:
    """One frame as bytes."""
    return HEAD.pack(len(body), stream, kind) + body


def frames(stream: int, kind: int, body: bytes) -> list[bytes]:
    """The frames of one request or reply: PARTs where it is long, closed by one of its kind."""
    cuts = range(0, max(len(body), 1), DATA_LIMIT)
    pieces = [body[at : at + DATA_LIMIT] for at in cuts]
    return [frame(stream, PART, piece) for piece in pieces[:-1]] + [frame(stream, kind, pieces[-1])]


def deflated(offset: int, piece: bytes) -> tuple[int, bytes]:
    """(kind, body) of a piece of bytes, compressed where that saves a tenth of it or more."""
    import zlib

    packed = zlib.compress(piece, 1)
    kind, body = (DEFLATED, packed) if len(packed) * 10 <= len(piece) * 9 else (DATA, piece)
    return kind, OFFSET.pack(offset) + body


def piece(kind: int, body: bytes) -> tuple[int, bytes]:
    """(offset, bytes) of a DATA or DEFLATED body; never more than DATA_LIMIT bytes of it."""
    offset, rest = OFFSET.unpack_from(body)[0], body[OFFSET.size :]
    if kind == DEFLATED:
        import zlib

        try:
            rest = zlib.decompressobj().decompress(rest, DATA_LIMIT)
        except zlib.error as error:
            raise Problem(
                "damaged", f"what was sent cannot be unpacked: {error}", "run the same command again"
            ) from error
    return offset, rest


def limit(kind: int) -> int:
    """The longest body a frame of this kind may have."""
    return DATA_LIMIT + OFFSET.size if kind in (DATA, DEFLATED) else BODY_LIMIT


def read_exactly(descriptor: int, size: int, patience: float | None = None) -> bytes:
    """``size`` bytes of a blocking descriptor; Ended when it is closed before that, or silent for ``patience`` s."""
    pieces = []
    while size:
        if patience is not None and not select.select([descriptor], [], [], patience)[0]:
            raise Ended()
        piece = os.read(descriptor, min(size, 1 << 20))
        if not piece:
            raise Ended()
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_frame(descriptor: int, patience: float | None = None) -> tuple[int, int, bytes]:
    """The next (stream, kind, body); Ended at the end, in a silence, or when what comes is no frame."""
    size, stream, kind = HEAD.unpack(read_exactly(descriptor, HEAD.size, patience))
    if size > limit(kind):
        raise Ended()
    return stream, kind, read_exactly(descriptor, size, patience)


def write_all(descriptor: int, data: bytes) -> None:
    """All of ``data`` to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_at(descriptor: int, data: Any, offset: int) -> None:
    """All of ``data`` into a file, from ``offset`` on."""
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done
