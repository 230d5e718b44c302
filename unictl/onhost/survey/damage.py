"""Damaged or foreign files in the store, and whether they block the next apply of this fleet. Reads only."""

from __future__ import annotations

from .. import errors
from ..images import retention
from ..lease import lease_holder
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def find_damage(root: layout.StoreLayout, owner: str, notes: guarded_read.Notes) -> list[dict[str, Any]]:
    """What was found damaged: {path, text, hint, bars}. ``bars``: the next apply of this fleet has to write there, and
    cannot."""
    retention.retained_revisions(root, owner, notes)
    for path in _stray_paths(root, owner):
        notes.append(
            errors.HostError(
                "damaged", f"{path} is called as nothing of unictl's is", guarded_read.MOVE_AWAY_HINT, path=path
            )
        )
    rows_by_path = {}
    for note in notes:
        path = note.path or ""
        rows_by_path[path] = {
            "path": path,
            "text": note.text,
            "hint": note.hint,
            "bars": _blocks_apply(root, owner, path),
        }
    return list(rows_by_path.values())


def _blocks_apply(root: layout.StoreLayout, owner: str, path: str) -> bool:
    """A folder cannot be written over. What is written by a rename takes the place of anything else, and what is
    appended to, or locked, does not."""
    file_kind = guarded_read.file_kind(path)
    if file_kind == "a folder":
        return path.startswith(root.fleet(owner) + "/")
    appended_paths = (root.fleet(owner) + "/ledger.jsonl", lease_holder.lease_path(root, owner))
    return path in appended_paths and file_kind not in ("a file", "")


def _stray_paths(root: layout.StoreLayout, owner: str) -> list[str]:
    """What lies among the fleet's instances or volumes, and is none."""
    valid_names = {root.instances(owner): set(root.keys(owner)), root.volumes(owner): set(root.volume_names(owner))}
    return [
        f"{directory}/{name}"
        for directory, valid in valid_names.items()
        for name in guarded_read.list_names(directory)
        if name not in valid
    ]
