"""The content store: images by SHA-256, shared by all fleets, whole or not there, read-only.

A pin (``fleets/<owner>/wanted/<sha>``) is written first, so that nobody collects what is on its way. A partial keeps
its bytes when the connection dies; the next ``stage`` goes on from there.
"""

from __future__ import annotations

import os

from . import lease, locks, records, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_READ = 1 << 20


def stage(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Have an image here, pulling what is missing; ``had`` when nothing was."""
    lease.require(ask, call)
    sha, size = records.digest(ask["digest"]), int(ask["size"])
    pin(root, ask["owner"], sha)
    path = f"{root.images}/{sha}"
    if good(path, sha, size):
        return {"had": True}
    partial = f"{root.images}/.partial-{sha}"
    lock = _lock(partial, call)
    try:
        if good(path, sha, size):
            records.remove_file(partial)
            return {"had": True}
        _fill(lock, partial, sha, size, call)
        _publish(root, lock, partial, path)
    finally:
        os.close(lock)
    return {"had": False}


def pin(root: records.Root, owner: str, sha: str) -> None:
    """Say that this fleet wants an image."""
    folder = root.fleet(owner) + "/wanted"
    records.folders(folder)
    if not os.path.exists(f"{folder}/{sha}"):
        records.write_plain(f"{folder}/{sha}", b"")
        records.sync_folder(folder)


def good(path: str, sha: str, size: int) -> bool:
    """Whether a stored image is what its name says: its bytes are read, a disk may have lost some."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return os.fstat(descriptor).st_size == size and _hash(descriptor, size).hexdigest() == sha
    finally:
        os.close(descriptor)


def _hash(descriptor: int, size: int) -> Any:
    import hashlib

    found = hashlib.sha256()
    at = 0
    while at < size:
        piece = os.pread(descriptor, min(_READ, size - at), at)
        if not piece:
            break
        found.update(piece)
        at += len(piece)
    return found


def _lock(partial: str, call: Any) -> int:
    """The partial, locked: another fleet may be sending the same image."""
    while True:
        descriptor = locks.take(partial, mode=0o600)
        if descriptor is not None:
            return descriptor
        if call.cancelled.wait(0.05):
            raise wire.Problem("cancelled", "staging was cancelled")


def _fill(lock: int, partial: str, sha: str, size: int, call: Any) -> None:
    """Pull what is missing; a partial whose whole is wrong is pulled once more from the beginning."""
    for attempt in (1, 2):
        have = min(os.fstat(lock).st_size, size)
        os.ftruncate(lock, have)
        free = records.free_bytes(partial)
        if size - have > free:
            raise _no_room(partial, size - have, free)
        if _pull(lock, partial, have, size, call) == sha:
            return
        os.ftruncate(lock, 0)
        if attempt == 2:
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


def _pull(lock: int, partial: str, have: int, size: int, call: Any) -> str:
    found = _hash(lock, have)
    at = have
    try:
        for piece in call.pull(have, size - have):
            os.pwrite(lock, piece, at)
            found.update(piece)
            at += len(piece)
            call.event({"at": at})
    except OSError as error:
        raise records.problem(error, partial) from error
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
