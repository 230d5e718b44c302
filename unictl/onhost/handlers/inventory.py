"""Lists the store: images with who uses and retains them, and the volumes of a fleet. Changes nothing."""

from __future__ import annotations

import os

from ..images import image_store, integrity, retention
from ..instances import claims
from ..storage import fleet_names, guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def inventory(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Images and volumes of this store. ``check``: every image is read and hashed, however its file looks."""
    owner, check = layout.part(ask["owner"]), bool(ask.get("check"))
    return {
        "images": [_image(root, sha, uses, check) for sha, uses in _uses(root).items()],
        "volumes": [_volume(root, owner, name) for name in root.volume_names(owner)],
        "disk_free": layout.free_bytes(root.path),
    }


def _uses(root: layout.Root) -> dict[str, dict[str, list[Any]]]:
    """Every image that is here, whole or in part, who uses it, and for which revision of which fleet it is kept."""
    found: dict[str, dict[str, list[Any]]] = {sha: {"used": [], "kept": []} for sha in image_store.stored(root)}
    for name in os.listdir(root.images):
        if name.startswith(".partial-"):
            found.setdefault(name[len(".partial-") :], {"used": [], "kept": []})
    for owner, key, record in claims.all_records(root):
        for sha in set(record["run"].get("images", ())) & set(found):
            found[sha]["used"].append({"owner": fleet_names.called(root, owner), "key": key})
    for owner in root.owners():
        for row in retention.revisions(root, owner) or ():
            for sha in set(row.get("images", ())) & set(found):
                found[sha]["kept"].append(
                    {"owner": fleet_names.called(root, owner), "revision": row.get("revision", ""), "at": row.get("at")}
                )
    return dict(sorted(found.items()))


def _image(root: layout.Root, sha: str, uses: dict[str, list[Any]], check: bool) -> dict[str, Any]:
    path, partial = f"{root.images}/{sha}", f"{root.images}/.partial-{sha}"
    whole = os.path.exists(path)
    row = {"digest": sha, "size": _size(path if whole else partial), **uses}
    if not whole:
        return dict(row, state="coming" if guarded_read.noted(None, locks.held, partial) else "partial")
    well = integrity.intact(root, sha, read=True) if check else not integrity.damaged(root, [sha])
    return dict(row, state="whole" if well else "damaged")


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _volume(root: layout.Root, owner: str, name: str) -> dict[str, Any]:
    """``allocated`` are the bytes that its disk gave it; ``used_by`` the key of the record that names it."""
    size = allocated = 0
    try:
        told = os.stat(root.volume(owner, name) + "/data")
        size, allocated = told.st_size, told.st_blocks * 512
    except OSError:
        pass
    users = [k for o, k, r in claims.all_records(root) if o == owner and name in r["run"].get("volumes", ())]
    running = locks.held(root.volume(owner, name) + "/lock")
    return {"name": name, "size": size, "allocated": allocated, "used_by": (users or [""])[0], "running": running}
