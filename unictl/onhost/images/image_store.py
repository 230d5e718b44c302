"""The image store: images by SHA-256, shared by all fleets, complete or absent, read-only.

A pin (``fleets/<owner>/wanted/<sha>``) protects an image from garbage collection.
"""

from __future__ import annotations

import os

from ..lease import fleet_lease
from ..protocol import frames
from ..storage import guarded_read, layout, locks
from . import integrity
from .similar import Alike

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from ..storage.fenced_store import Writable

_TOLD = 1 << 20
"""Bytes between two words on how far it is."""


def stage(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Have an image here, pulling what is missing; ``had`` when nothing was. ``like``: images it may be made from."""
    held = fleet_lease.require(ask, call)
    sha, size = layout.digest(ask["digest"]), int(ask["size"])
    # Who collects has either seen the pin, or removed by now what it did not see named.
    with locks.Held(root.host_lock):
        pin(held.root, ask["owner"], sha)
    path = f"{root.images}/{sha}"
    if integrity.intact(root, sha):
        return {"had": True}
    partial = f"{root.images}/.partial-{sha}"
    lock = _lock(partial, call)
    try:
        if integrity.intact(root, sha):
            held.root.remove_file(partial)
            return {"had": True}
        _fill(held.root, lock, sha, size, ask.get("like") or (), call)
        _publish(held.root, lock, partial, path)
        integrity.note(root, sha)
    finally:
        os.close(lock)
    return {"had": False}


def read(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Send a range of an image that is here: another host may lack it."""
    sha, at, end = layout.digest(ask["digest"]), int(ask["offset"]), int(ask["offset"]) + int(ask["length"])
    try:
        descriptor = guarded_read.plain(f"{root.images}/{sha}", os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise frames.Problem("no-image", f"image {sha[:12]} is not on this host any more", "plan again") from None
    try:
        while at < end and (piece := os.pread(descriptor, min(frames.DATA_LIMIT, end - at), at)):
            call.give(at, piece)
            at += len(piece)
    finally:
        os.close(descriptor)
    return {}


def pin(root: Writable, owner: str, sha: str) -> None:
    """Say that this fleet wants an image."""
    folder = root.fleet(owner) + "/wanted"
    layout.folders(folder)
    if not os.path.exists(f"{folder}/{sha}"):
        root.write_plain(f"{folder}/{sha}", b"")
        layout.sync_folder(folder)


def stored(root: layout.Root) -> list[str]:
    """Every image that is whole; what else lies there is not ours."""
    return [name for name in layout.names(root.images) if layout.is_digest(name)]


def _lock(partial: str, call: Any) -> int:
    """The partial, locked: another fleet may be sending the same image."""
    while True:
        descriptor = locks.take(partial, mode=0o600)
        if descriptor is not None:
            return descriptor
        if call.cancelled.wait(0.05):
            raise frames.Problem("cancelled", "staging was cancelled")


def _fill(root: Writable, lock: int, sha: str, size: int, like: Any, call: Any) -> None:
    """Get what is missing; a partial whose whole is wrong is pulled once more from the beginning, all of it."""
    partial = f"{root.images}/.partial-{sha}"
    for attempt in (1, 2):
        have = min(os.fstat(lock).st_size, size)
        os.ftruncate(lock, have)
        free = layout.free_bytes(partial)
        if size - have > free:
            raise _no_room(partial, size - have, free)
        alike = Alike(root, like if attempt == 1 and have < size else ())
        try:
            if _write(lock, partial, have, alike.pieces(have, size, call), call) == sha:
                return
        finally:
            alike.close()
        os.ftruncate(lock, 0)
    root.remove_file(partial)
    raise frames.Problem(
        "damaged",
        f"what was sent as image {sha[:12]} is not it: its SHA-256 differs",
        "the file changed while it was read, or its lock entry is wrong: run `unictl lock`",
    )


def _no_room(partial: str, need: int, free: int) -> frames.Problem:
    return frames.Problem(
        "no-room",
        f"no room left on the host for {partial}: {need} bytes are needed, {free} are free",
        "free some space, or give the host another `root:`",
        path=partial,
        errno=28,
    )


def _write(lock: int, partial: str, have: int, pieces: Iterator[Any], call: Any) -> str:
    """Write what comes; the SHA-256 of the whole."""
    found = integrity.digest(lock, have)
    at = told = have
    try:
        for piece in pieces:
            frames.write_at(lock, piece, at)
            found.update(piece)
            at += len(piece)
            if at - told >= _TOLD:
                call.event({"at": at})
                told = at
    except OSError as error:
        raise layout.problem(error, partial) from error
    call.event({"at": at})
    text: str = found.hexdigest()
    return text


def _publish(root: Writable, lock: int, partial: str, path: str) -> None:
    try:
        os.fsync(lock)
        os.fchmod(lock, 0o444)
        root.rename(partial, path)
        layout.sync_folder(root.images)
    except OSError as error:
        raise layout.problem(error, path) from error
