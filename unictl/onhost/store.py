"""The content store: images by SHA-256, shared by all fleets, whole or not there, read-only.

A pin (``fleets/<owner>/wanted/<sha>``) is written first, so that nobody collects what is on its way. A partial keeps
its bytes when the connection dies; the next ``stage`` goes on from there. Blocks that a similar image here has are
taken from it and do not travel.
"""

from __future__ import annotations

import os

from . import intact, lease, locks, reading, records, wire
from .alike import Alike

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from .door import Writable

_TOLD = 1 << 20
"""Bytes between two words on how far it is."""


def stage(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Have an image here, pulling what is missing; ``had`` when nothing was. ``like``: images it may be made from."""
    held = lease.require(ask, call)
    sha, size = records.digest(ask["digest"]), int(ask["size"])
    # Who collects has either seen the pin, or removed by now what it did not see named.
    with locks.Held(root.host_lock):
        pin(held.root, ask["owner"], sha)
    path = f"{root.images}/{sha}"
    if intact.intact(root, sha):
        return {"had": True}
    partial = f"{root.images}/.partial-{sha}"
    lock = _lock(partial, call)
    try:
        if intact.intact(root, sha):
            held.root.remove_file(partial)
            return {"had": True}
        _fill(held.root, lock, sha, size, ask.get("like") or (), call)
        _publish(held.root, lock, partial, path)
        intact.note(root, sha)
    finally:
        os.close(lock)
    return {"had": False}


def read(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Send a range of an image that is here: another host may lack it."""
    sha, at, end = records.digest(ask["digest"]), int(ask["offset"]), int(ask["offset"]) + int(ask["length"])
    try:
        descriptor = reading.plain(f"{root.images}/{sha}", os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise wire.Problem("no-image", f"image {sha[:12]} is not on this host any more", "plan again") from None
    try:
        while at < end and (piece := os.pread(descriptor, min(wire.DATA_LIMIT, end - at), at)):
            call.give(at, piece)
            at += len(piece)
    finally:
        os.close(descriptor)
    return {}


def pin(root: Writable, owner: str, sha: str) -> None:
    """Say that this fleet wants an image."""
    folder = root.fleet(owner) + "/wanted"
    records.folders(folder)
    if not os.path.exists(f"{folder}/{sha}"):
        root.write_plain(f"{folder}/{sha}", b"")
        records.sync_folder(folder)


def stored(root: records.Root) -> list[str]:
    """Every image that is whole; what else lies there is not ours."""
    return [name for name in records.names(root.images) if records.is_digest(name)]


def _lock(partial: str, call: Any) -> int:
    """The partial, locked: another fleet may be sending the same image."""
    while True:
        descriptor = locks.take(partial, mode=0o600)
        if descriptor is not None:
            return descriptor
        if call.cancelled.wait(0.05):
            raise wire.Problem("cancelled", "staging was cancelled")


def _fill(root: Writable, lock: int, sha: str, size: int, like: Any, call: Any) -> None:
    """Get what is missing; a partial whose whole is wrong is pulled once more from the beginning, all of it."""
    partial = f"{root.images}/.partial-{sha}"
    for attempt in (1, 2):
        have = min(os.fstat(lock).st_size, size)
        os.ftruncate(lock, have)
        free = records.free_bytes(partial)
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
    raise wire.Problem(
        "damaged",
        f"what was sent as image {sha[:12]} is not it: its SHA-256 differs",
        "the file changed while it was read, or its lock entry is wrong: run `unictl lock`",
    )


def _no_room(partial: str, need: int, free: int) -> wire.Problem:
    return wire.Problem(
        "no-room",
        f"no room left on the host for {partial}: {need} bytes are needed, {free} are free",
        "free some space, or give the host another `root:`",
        path=partial,
        errno=28,
    )


def _write(lock: int, partial: str, have: int, pieces: Iterator[Any], call: Any) -> str:
    """Write what comes; the SHA-256 of the whole."""
    found = intact.digest(lock, have)
    at = told = have
    try:
        for piece in pieces:
            wire.write_at(lock, piece, at)
            found.update(piece)
            at += len(piece)
            if at - told >= _TOLD:
                call.event({"at": at})
                told = at
    except OSError as error:
        raise records.problem(error, partial) from error
    call.event({"at": at})
    text: str = found.hexdigest()
    return text


def _publish(root: Writable, lock: int, partial: str, path: str) -> None:
    try:
        os.fsync(lock)
        os.fchmod(lock, 0o444)
        root.rename(partial, path)
        records.sync_folder(root.images)
    except OSError as error:
        raise records.problem(error, path) from error
