"""Creates, grows and deletes volumes: data that outlives instances.

A volume is created aside and renamed; it is deleted only by name and only if no record names it.
"""

from __future__ import annotations

import os
import time

from .. import errors
from ..instances import claims
from ..protocol import frames
from ..storage import atomic, guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext
    from ..storage.fenced_store import FencedStore


def change_volume(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Create (or grow) or delete one volume; both idempotent."""
    owner = request["owner"]
    if request["action"] == "create":
        return _create(root, owner, layout.safe_component(request["name"]), int(request["size"]))
    if request["action"] == "delete":
        return _delete(root, owner, layout.safe_component(request["name"]))
    raise errors.HostError("failed", f"unknown volume action {request['action']!r}")


def _create(root: FencedStore, owner: str, name: str, size: int) -> dict[str, Any]:
    path = root.volume(owner, name)
    if os.path.isdir(path):
        return _grow(root, path, name, size)
    staging_path = f"{root.volumes(owner)}/.new-{name}"
    root.remove_tree(staging_path)
    atomic.make_dirs(staging_path)
    try:
        _allocate(staging_path + "/data", size)
        description = {"format": layout.FORMAT, "name": name, "size": size, "at": time.time()}
        atomic.write_in_place(staging_path + "/volume.json", frames.encode_json(description))
        atomic.write_in_place(staging_path + "/lock", b"", 0o600)
        atomic.sync_directory(staging_path)
        root.rename(staging_path, path)
        atomic.sync_directory(root.volumes(owner))
    except BaseException:
        root.remove_tree(staging_path)
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
        raise atomic.from_os_error(error, path) from error


def _grow(root: FencedStore, path: str, name: str, size: int) -> dict[str, Any]:
    """A larger size is given while nobody uses it; a smaller one is never taken."""
    if guarded_read.file_kind(path + "/data") != "a file":
        text = f"volume {name} has lost its data: {path}/data is no file"
        raise errors.HostError("damaged", text, f"bring it back, or give it up: -allow-destroy volume:{name}")
    current_size = os.path.getsize(path + "/data")
    if size <= current_size:
        return {"size": current_size}
    lock = locks.take(path + "/lock")
    if lock is None:
        raise errors.HostError(
            "taken", f"volume {name} is in use, so it cannot grow now", "it grows when its user is stopped"
        )
    try:
        with root.fence.enter():
            _allocate(path + "/data", size)
    finally:
        os.close(lock)
    return {"size": size}


def _delete(root: FencedStore, owner: str, name: str) -> dict[str, Any]:
    notes: guarded_read.Notes = []
    for _, key, record in claims.fleet_records(root, owner, notes):
        if name in record["run"].get("volumes", ()):
            raise errors.HostError("taken", f"volume {name} is held by {key}", f"retire {key} first")
    if notes:
        raise errors.HostError("taken", f"nobody knows who uses volume {name}: {notes[0].text}", notes[0].hint)
    path = root.volume(owner, name)
    lock = locks.take(path + "/lock") if os.path.isdir(path) else None
    if os.path.isdir(path) and lock is None:
        raise errors.HostError(
            "taken", f"volume {name} is in use by a process that still runs", "retire its user first"
        )
    try:
        root.remove_atomically(path)
        if os.path.isdir(root.volumes(owner)):
            atomic.sync_directory(root.volumes(owner))
    finally:
        if lock is not None:
            os.close(lock)
    return {}
