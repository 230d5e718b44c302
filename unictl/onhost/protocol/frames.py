"""Framing of the wire protocol: packing, unpacking, reading and writing frames. Used by both ends.

A frame is ``>IIB`` (length of the body, stream, kind) followed by its body. The control side chooses the stream
numbers and never reuses one; stream 0 is the connection itself (hello, pings). Bodies are JSON, except for DATA
(eight bytes of offset, then the bytes) and DEFLATED (the same with compressed bytes). A WANT requests a range of
the file being uploaded, or, with ``of: index``, a range of its chunk index. A request or reply that does not fit in
one frame is sent as PARTs, followed by the REQUEST or REPLY.
"""

from __future__ import annotations

import json
import os
import select
import struct

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADER = struct.Struct(">IIB")
OFFSET = struct.Struct(">Q")

REQUEST, REPLY, EVENT, PART, WANT, DATA, DEFLATED, CANCEL, PING = b"QREFWDZCP"

BODY_LIMIT = 1 << 20
"""Longest body of a control frame; a longer one is a broken conversation."""
DATA_LIMIT = 256 << 10
"""Longest chunk of bytes in one DATA frame, and of a request or reply in one frame."""
MESSAGE_LIMIT = 16 << 20
"""Longest request; a host holds no more than that of those that are on their way to it."""
PULL_WINDOW = 8 << 20
"""Bytes of an upload that may be wanted and not yet here."""
PING_INTERVAL = 5.0
SILENCE_LIMIT = 20.0
"""Seconds without a frame after which the other end counts as gone."""
PREAMBLE = b"\0unictl "


def encode_json(value: Any) -> bytes:
    """A JSON body: compact, no NaN."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def pack_frame(stream: int, kind: int, body: bytes = b"") -> bytes:
    """One frame as bytes."""
    return HEADER.pack(len(body), stream, kind) + body


def pack_message(stream: int, kind: int, body: bytes) -> list[bytes]:
    """The frames of one request or reply: PARTs where it is long, closed by one of its kind."""
    offsets = range(0, max(len(body), 1), DATA_LIMIT)
    parts = [body[offset : offset + DATA_LIMIT] for offset in offsets]
    return [pack_frame(stream, PART, part) for part in parts[:-1]] + [pack_frame(stream, kind, parts[-1])]


def pack_data(offset: int, data: bytes) -> tuple[int, bytes]:
    """(kind, body) of a piece of bytes, compressed where that saves a tenth of it or more."""
    import zlib

    compressed = zlib.compress(data, 1)
    kind, body = (DEFLATED, compressed) if len(compressed) * 10 <= len(data) * 9 else (DATA, data)
    return kind, OFFSET.pack(offset) + body


def unpack_data(kind: int, body: bytes) -> tuple[int, bytes]:
    """(offset, bytes) of a DATA or DEFLATED body; never more than DATA_LIMIT bytes of it."""
    offset, data = OFFSET.unpack_from(body)[0], body[OFFSET.size :]
    if kind == DEFLATED:
        import zlib

        try:
            data = zlib.decompressobj().decompress(data, DATA_LIMIT)
        except zlib.error as error:
            raise errors.HostError(
                "damaged", f"what was sent cannot be unpacked: {error}", "run the same command again"
            ) from error
    return offset, data


def body_limit(kind: int) -> int:
    """The longest body a frame of this kind may have."""
    return DATA_LIMIT + OFFSET.size if kind in (DATA, DEFLATED) else BODY_LIMIT


def read_exactly(descriptor: int, size: int, timeout: float | None = None) -> bytes:
    """``size`` bytes of a blocking descriptor; Ended when it is closed before that, or silent for ``timeout`` s."""
    pieces = []
    while size:
        if timeout is not None and not select.select([descriptor], [], [], timeout)[0]:
            raise errors.ConnectionClosed()
        piece = os.read(descriptor, min(size, 1 << 20))
        if not piece:
            raise errors.ConnectionClosed()
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_frame(descriptor: int, timeout: float | None = None) -> tuple[int, int, bytes]:
    """The next (stream, kind, body); Ended at the end, in a silence, or when what comes is no frame."""
    size, stream, kind = HEADER.unpack(read_exactly(descriptor, HEADER.size, timeout))
    if size > body_limit(kind):
        raise errors.ConnectionClosed()
    return stream, kind, read_exactly(descriptor, size, timeout)


def write_all(descriptor: int, data: bytes) -> None:
    """All of ``data`` to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_at(descriptor: int, data: Any, offset: int) -> None:
    """All of ``data`` into a file, from ``offset`` on."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
