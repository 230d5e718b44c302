"""Lists the store: images with who uses and retains them, and the volumes of a fleet. Changes nothing."""

from __future__ import annotations

import os

from ..images import image_store, integrity, retention
from ..instances import claims
from ..storage import atomic, fleet_names, guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext


def list_inventory(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Images and volumes of this store. ``verify``: every image is read and hashed, however its file looks."""
    owner, verify = layout.safe_component(request["owner"]), bool(request.get("check"))
    return {
        "images": [_image_row(root, digest, uses, verify) for digest, uses in _image_uses(root).items()],
        "volumes": [_volume_row(root, owner, name) for name in root.volume_names(owner)],
        "disk_free": atomic.free_bytes(root.path),
    }


def _image_uses(root: layout.StoreLayout) -> dict[str, dict[str, list[Any]]]:
    """Every image that is here, whole or in part, who uses it, and for which revision of which fleet it is kept."""
    uses_by_digest: dict[str, dict[str, list[Any]]] = {
        digest: {"used": [], "kept": []} for digest in image_store.list_images(root)
    }
    for name in os.listdir(root.images):
        if name.startswith(".partial-"):
            uses_by_digest.setdefault(name[len(".partial-") :], {"used": [], "kept": []})
    for owner, key, record in claims.all_records(root):
        for digest in set(record["run"].get("images", ())) & set(uses_by_digest):
            uses_by_digest[digest]["used"].append({"owner": fleet_names.current_name(root, owner), "key": key})
    for owner in root.owners():
        for revision_entry in retention.retained_revisions(root, owner) or ():
            for digest in set(revision_entry.get("images", ())) & set(uses_by_digest):
                uses_by_digest[digest]["kept"].append(
                    {
                        "owner": fleet_names.current_name(root, owner),
                        "revision": revision_entry.get("revision", ""),
                        "at": revision_entry.get("at"),
                    }
                )
    return dict(sorted(uses_by_digest.items()))


def _image_row(root: layout.StoreLayout, digest: str, uses: dict[str, list[Any]], verify: bool) -> dict[str, Any]:
    path, partial = f"{root.images}/{digest}", f"{root.images}/.partial-{digest}"
    is_complete = os.path.exists(path)
    image_row = {"digest": digest, "size": _file_size(path if is_complete else partial), **uses}
    if not is_complete:
        return dict(
            image_row, state="coming" if guarded_read.read_or_note(None, locks.is_locked, partial) else "partial"
        )
    is_intact = integrity.verify(root, digest, reread=True) if verify else not integrity.find_damaged(root, [digest])
    return dict(image_row, state="whole" if is_intact else "damaged")


def _file_size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _volume_row(root: layout.StoreLayout, owner: str, name: str) -> dict[str, Any]:
    """``allocated`` are the bytes that its disk gave it; ``used_by`` the key of the record that names it."""
    size = allocated = 0
    try:
        file_stat = os.stat(root.volume(owner, name) + "/data")
        size, allocated = file_stat.st_size, file_stat.st_blocks * 512
    except OSError:
        pass
    users = [
        record_key
        for record_owner, record_key, record in claims.all_records(root)
        if record_owner == owner and name in record["run"].get("volumes", ())
    ]
    running = locks.is_locked(root.volume(owner, name) + "/lock")
    return {"name": name, "size": size, "allocated": allocated, "used_by": (users or [""])[0], "running": running}
