"""Creates, grows and deletes volumes: data that outlives instances.

A volume is created aside and renamed; it is deleted only by name and only if no record names it.
"""

from __future__ import annotations

import os
import time

from ..instances import claims
from ..lease import fleet_lease
from ..protocol import frames
from ..storage import guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import Writable


def volume(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Create (or grow) or delete one volume; both idempotent."""
    root, owner = fleet_lease.require(ask, call).root, ask["owner"]
    if ask["action"] == "create":
        return _create(root, owner, layout.part(ask["name"]), int(ask["size"]))
    if ask["action"] == "delete":
        return _delete(root, owner, layout.part(ask["name"]))
    raise frames.Problem("failed", f"unknown volume action {ask['action']!r}")


def _create(root: Writable, owner: str, name: str, size: int) -> dict[str, Any]:
    path = root.volume(owner, name)
    if os.path.isdir(path):
        return _grow(root, path, name, size)
    aside = f"{root.volumes(owner)}/.new-{name}"
    root.remove_tree(aside)
    layout.folders(aside)
    try:
        _allocate(aside + "/data", size)
        told = {"format": layout.FORMAT, "name": name, "size": size, "at": time.time()}
        layout.write_plain(aside + "/volume.json", frames.encode(told))
        layout.write_plain(aside + "/lock", b"", 0o600)
        layout.sync_folder(aside)
        root.rename(aside, path)
        layout.sync_folder(root.volumes(owner))
    except BaseException:
        root.remove_tree(aside)
        raise
    return {"size": size}


def _allocate(path: str, size: int) -> None:
    """Real room, not a promise: a full disk is told now and not by a guest's write."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if size:
                os.posix_fallocate(descriptor, 0, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise layout.problem(error, path) from error


def _grow(root: Writable, path: str, name: str, size: int) -> dict[str, Any]:
    """A larger size is given while nobody uses it; a smaller one is never taken."""
    if guarded_read.kind(path + "/data") != "a file":
        text = f"volume {name} has lost its data: {path}/data is no file"
        raise frames.Problem("damaged", text, f"bring it back, or give it up: -allow-destroy volume:{name}")
    there = os.path.getsize(path + "/data")
    if size <= there:
        return {"size": there}
    lock = locks.take(path + "/lock")
    if lock is None:
        raise frames.Problem(
            "taken", f"volume {name} is in use, so it cannot grow now", "it grows when its user is stopped"
        )
    try:
        with root.fence.passing():
            _allocate(path + "/data", size)
    finally:
        os.close(lock)
    return {"size": size}


def _delete(root: Writable, owner: str, name: str) -> dict[str, Any]:
    notes: guarded_read.Notes = []
    for _, key, record in claims.records_of(root, owner, notes):
        if name in record["run"].get("volumes", ()):
            raise frames.Problem("taken", f"volume {name} is held by {key}", f"retire {key} first")
    if notes:
        raise frames.Problem("taken", f"nobody knows who uses volume {name}: {notes[0].text}", notes[0].hint)
    path = root.volume(owner, name)
    lock = locks.take(path + "/lock") if os.path.isdir(path) else None
    if os.path.isdir(path) and lock is None:
        raise frames.Problem("taken", f"volume {name} is in use by a process that still runs", "retire its user first")
    try:
        root.remove_aside(path)
        if os.path.isdir(root.volumes(owner)):
            layout.sync_folder(root.volumes(owner))
    finally:
        if lock is not None:
            os.close(lock)
    return {}
