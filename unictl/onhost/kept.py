"""The revisions of a fleet whose images stay on a host, so that going back always works. Newest first.

Revisions that boot the very same images are one: the newest of them is named.
"""

from __future__ import annotations

import time

from . import records, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .door import Writable


def revisions(root: records.Root, owner: str) -> list[dict[str, Any]] | None:
    """The rows {revision, at, images}; none before the first apply, None where the file cannot be read."""
    try:
        told = records.read_json(root.fleet(owner) + "/revisions.json")
    except wire.Problem:
        return None
    if told is None:
        return []
    rows = told.get("revisions") if isinstance(told, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


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
    document = {"format": records.FORMAT, "revisions": rows}
    root.write_cache(root.fleet(owner) + "/revisions.json", wire.encode(document))


def images(root: records.Root, owner: str) -> set[str] | None:
    """The images that a fleet keeps here; None where that is not known."""
    rows = revisions(root, owner)
    return None if rows is None else {sha for row in rows for sha in row.get("images", ())}
