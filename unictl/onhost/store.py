"""The content store: images by SHA-256, shared by all fleets, whole or not there, read-only.

A pin (``fleets/<owner>/wanted/<sha>``) is written first, so that nobody collects what is on its way. A partial keeps
its bytes when the connection dies; the next ``stage`` goes on from there. Blocks that a similar image here has are
taken from it and do not travel.
"""

from __future__ import annotations

import mmap
import os

from . import blocks, intact, lease, locks, records, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

_TOLD = 1 << 20
"""Bytes between two words on how far it is."""


def stage(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Have an image here, pulling what is missing; ``had`` when nothing was. ``like``: images it may be made from."""
    held = lease.require(ask, call)
    sha, size = records.digest(ask["digest"]), int(ask["size"])
    # Who collects has either seen the pin, or removed by now what it did not see named.
    with locks.Held(root.host_lock):
        pin(root, ask["owner"], sha)
    path = f"{root.images}/{sha}"
    if intact.intact(root, sha):
        return {"had": True}
    partial = f"{root.images}/.partial-{sha}"
    lock = _lock(partial, call)
    try:
        if intact.intact(root, sha):
            records.remove_file(partial)
            return {"had": True}
        _fill(root, lock, sha, size, ask.get("like") or (), call)
        held.check()
        _publish(root, lock, partial, path)
        intact.note(root, sha)
    finally:
        os.close(lock)
    return {"had": False}


def read(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Send a range of an image that is here: another host may lack it."""
    sha, at, end = records.digest(ask["digest"]), int(ask["offset"]), int(ask["offset"]) + int(ask["length"])
    try:
        descriptor = os.open(f"{root.images}/{sha}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise wire.Problem("no-image", f"image {sha[:12]} is not on this host any more", "plan again") from None
    try:
        while at < end and (piece := os.pread(descriptor, min(wire.DATA_LIMIT, end - at), at)):
            call.give(at, piece)
            at += len(piece)
    finally:
        os.close(descriptor)
    return {}


def pin(root: records.Root, owner: str, sha: str) -> None:
    """Say that this fleet wants an image."""
    folder = root.fleet(owner) + "/wanted"
    records.folders(folder)
    if not os.path.exists(f"{folder}/{sha}"):
        records.write_plain(f"{folder}/{sha}", b"")
        records.sync_folder(folder)


def stored(root: records.Root) -> list[str]:
    """Every image that is whole."""
    return [name for name in records.names(root.images) if len(name) == 64]


def _lock(partial: str, call: Any) -> int:
    """The partial, locked: another fleet may be sending the same image."""
    while True:
        descriptor = locks.take(partial, mode=0o600)
        if descriptor is not None:
            return descriptor
        if call.cancelled.wait(0.05):
            raise wire.Problem("cancelled", "staging was cancelled")


def _fill(root: records.Root, lock: int, sha: str, size: int, like: Any, call: Any) -> None:
    """Get what is missing; a partial whose whole is wrong is pulled once more from the beginning, all of it."""
    partial = f"{root.images}/.partial-{sha}"
    for attempt in (1, 2):
        have = min(os.fstat(lock).st_size, size)
        os.ftruncate(lock, have)
        free = records.free_bytes(partial)
        if size - have > free:
            raise _no_room(partial, size - have, free)
        known = _known(root, like) if attempt == 1 and have < size else {}
        if _write(lock, partial, have, _pieces(known, have, size, call), call) == sha:
            return
        os.ftruncate(lock, 0)
    records.remove_file(partial)
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


def _known(root: records.Root, like: Any) -> dict[bytes, memoryview]:
    """The blocks of images that lie here, by hash: where their bytes are."""
    found: dict[bytes, memoryview] = {}
    for sha in like:
        try:
            with open(f"{root.images}/{records.digest(sha)}", "rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            continue
        for at, length, name in blocks.cuts(data):
            found.setdefault(name, memoryview(data)[at : at + length])
    return found


def _pieces(known: dict[bytes, memoryview], have: int, size: int, call: Any) -> Iterator[Any]:
    """What comes behind the first ``have`` bytes, in order: from here where it is known, pulled where it is not."""
    rows = _rows(known, have, size, call) if known else [(have, size - have, None)]
    pulled = call.pull([(at, length) for at, length, piece in rows if piece is None])
    for _, length, piece in rows:
        if piece is not None:
            yield piece
            continue
        left = length
        while left > 0:
            came = next(pulled)
            left -= len(came)
            yield came


def _rows(known: dict[bytes, memoryview], have: int, size: int, call: Any) -> list[tuple[int, int, Any]]:
    """(offset, length, bytes or None) of everything behind ``have``; neighbours that must travel travel together."""
    rows: list[tuple[int, int, Any]] = []
    at = 0
    for length, name in blocks.read(call.index()):
        end = at + length
        piece = known.get(name) if at >= have else None
        begin = max(at, have)
        if piece is None and rows and rows[-1][2] is None:
            rows[-1] = (rows[-1][0], end - rows[-1][0], None)
        elif end > begin:
            rows.append((begin, end - begin, piece))
        at = end
    return rows if at == size else [(have, size - have, None)]


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


def _publish(root: records.Root, lock: int, partial: str, path: str) -> None:
    try:
        os.fsync(lock)
        os.fchmod(lock, 0o444)
        os.rename(partial, path)
        records.sync_folder(root.images)
    except OSError as error:
        raise records.problem(error, path) from error
