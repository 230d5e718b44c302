"""Handles ``stage`` and ``read``: receives an image, or sends a range of one.

The pin is written first, so that garbage collection spares an image in transit. A partial file keeps its bytes when
the connection dies; the next ``stage`` continues it. Chunks that similar stored images contain are copied from
them.
"""

from __future__ import annotations

import os

from .. import errors
from ..images import image_store, integrity
from ..images.similar import ChunkIndex
from ..protocol import frames
from ..storage import atomic, guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from ..protocol.request_context import RequestContext
    from ..storage.fenced_store import FencedStore


_PROGRESS_BYTES = 1 << 20
"""Bytes between two words on how far it is."""


def stage(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """Have an image here, pulling what is missing; ``had`` when nothing was. ``like``: images it may be made from."""
    digest, size = layout.checked_digest(request["digest"]), int(request["size"])
    # Who collects has either seen the pin, or removed by now what it did not see named.
    with locks.LockGuard(root.host_lock):
        image_store.pin(root, request["owner"], digest)
    path = f"{root.images}/{digest}"
    if integrity.verify(root, digest):
        return {"had": True}
    partial = f"{root.images}/.partial-{digest}"
    lock = _lock_partial(partial, context)
    try:
        if integrity.verify(root, digest):
            root.remove_file(partial)
            return {"had": True}
        _fill_partial(root, lock, digest, size, request.get("like") or (), context)
        _publish(root, lock, partial, path)
        integrity.remember_verified(root, digest)
    finally:
        os.close(lock)
    return {"had": False}


def read(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """Send a range of an image that is here: another host may lack it."""
    digest, offset, end = (
        layout.checked_digest(request["digest"]),
        int(request["offset"]),
        int(request["offset"]) + int(request["length"]),
    )
    try:
        descriptor = guarded_read.open_regular(f"{root.images}/{digest}", os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise errors.HostError("no-image", f"image {digest[:12]} is not on this host any more", "plan again") from None
    try:
        while offset < end and (piece := os.pread(descriptor, min(frames.DATA_LIMIT, end - offset), offset)):
            context.send_data(offset, piece)
            offset += len(piece)
    finally:
        os.close(descriptor)
    return {}


def _lock_partial(partial: str, context: RequestContext) -> int:
    """The partial, locked: another fleet may be sending the same image."""
    while True:
        descriptor = locks.take(partial, mode=0o600)
        if descriptor is not None:
            return descriptor
        if context.cancelled.wait(0.05):
            raise errors.HostError("cancelled", "staging was cancelled")


def _fill_partial(
    root: FencedStore, lock: int, digest: str, size: int, similar_digests: Any, context: RequestContext
) -> None:
    """Get what is missing; a partial whose whole is wrong is pulled once more from the beginning, all of it."""
    partial = f"{root.images}/.partial-{digest}"
    for attempt in (1, 2):
        present = min(os.fstat(lock).st_size, size)
        os.ftruncate(lock, present)
        available = atomic.free_bytes(partial)
        if size - present > available:
            raise _no_room_error(partial, size - present, available)
        chunk_index = ChunkIndex(root, similar_digests if attempt == 1 and present < size else ())
        try:
            if _write_pieces(lock, partial, present, chunk_index.pieces(present, size, context), context) == digest:
                return
        finally:
            chunk_index.close()
        os.ftruncate(lock, 0)
    root.remove_file(partial)
    raise errors.HostError(
        "damaged",
        f"what was sent as image {digest[:12]} is not it: its SHA-256 differs",
        "the file changed while it was read, or its lock entry is wrong: run `unictl lock`",
    )


def _no_room_error(partial: str, needed: int, available: int) -> errors.HostError:
    return errors.HostError(
        "no-room",
        f"no room left on the host for {partial}: {needed} bytes are needed, {available} are free",
        "free some space, or give the host another `root:`",
        path=partial,
        errno=28,
    )


def _write_pieces(lock: int, partial: str, present: int, pieces: Iterator[Any], context: RequestContext) -> str:
    """Write what comes; the SHA-256 of the whole."""
    hasher = integrity.hash_prefix(lock, present)
    offset = reported = present
    try:
        for piece in pieces:
            frames.write_at(lock, piece, offset)
            hasher.update(piece)
            offset += len(piece)
            if offset - reported >= _PROGRESS_BYTES:
                context.send_event({"at": offset})
                reported = offset
    except OSError as error:
        raise atomic.from_os_error(error, partial) from error
    context.send_event({"at": offset})
    hexdigest: str = hasher.hexdigest()
    return hexdigest


def _publish(root: FencedStore, lock: int, partial: str, path: str) -> None:
    try:
        os.fsync(lock)
        os.fchmod(lock, 0o444)
        root.rename(partial, path)
        atomic.sync_directory(root.images)
    except OSError as error:
        raise atomic.from_os_error(error, path) from error
