"""The revisions of a fleet whose images are kept on a host, so that a rollback is always possible. Newest first.

Revisions that boot the same images count as one: the newest of them is named.
"""

from __future__ import annotations

import time

from ..protocol import frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import Writable


def revisions(root: layout.Root, owner: str, notes: guarded_read.Notes | None = None) -> list[dict[str, Any]] | None:
    """The rows {revision, at, images}; none before the first apply, None where they are not known any more."""
    found: list[dict[str, Any]] | None = guarded_read.noted(notes, _read, root.fleet(owner) + "/revisions.json")
    return found


def _read(path: str) -> list[dict[str, Any]]:
    told = guarded_read.read_object(path)
    rows = [] if told is None else told.get("revisions")
    if isinstance(rows, list) and all(isinstance(row, dict) and guarded_read.texts(row.get("images")) for row in rows):
        return rows
    raise guarded_read.odd_content(path, "revisions and their images")


def keep(root: Writable, owner: str, revision: str, images: list[str], bound: int) -> None:
    """Note what was applied, and forget what lies more than ``bound`` revisions back.

    On a full disk the note is not written: what would have been forgotten stays noted until there is room."""
    before = revisions(root, owner) or []
    if not images:
        return
    same = sorted(set(images))
    rest = [row for row in before if row.get("images") != same]
    rows = [{"revision": revision, "at": time.time(), "images": same}, *rest][: max(1, bound)]
    if [(row["revision"], row["images"]) for row in rows] == [(r.get("revision"), r.get("images")) for r in before]:
        return
    document = {"format": layout.FORMAT, "revisions": rows}
    root.write_cache(root.fleet(owner) + "/revisions.json", frames.encode(document))


def images(root: layout.Root, owner: str, notes: guarded_read.Notes | None = None) -> set[str] | None:
    """The images that a fleet keeps here; None where that is not known."""
    rows = revisions(root, owner, notes)
    return None if rows is None else {sha for row in rows for sha in row.get("images", ())}
