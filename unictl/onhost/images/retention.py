"""The revisions of a fleet whose images are kept on a host, so that a rollback is always possible. Newest first.

Revisions that boot the same images count as one: the newest of them is named.
"""

from __future__ import annotations

import time

from ..protocol import frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from ..storage.fenced_store import FencedStore

    class RetainedRevision(TypedDict, total=False):
        """One revision; records of older versions may lack all but the images."""

        revision: str
        at: float
        images: list[str]


def retained_revisions(
    root: layout.StoreLayout, owner: str, notes: guarded_read.Notes | None = None
) -> list[RetainedRevision] | None:
    """The rows {revision, at, images}; none before the first apply, None where they are not known any more."""
    retained: list[RetainedRevision] | None = guarded_read.read_or_note(
        notes, _read_revisions, root.fleet(owner) + "/revisions.json"
    )
    return retained


def _read_revisions(path: str) -> list[RetainedRevision]:
    document = guarded_read.read_object(path)
    revision_rows = [] if document is None else document.get("revisions")
    if isinstance(revision_rows, list) and all(
        isinstance(revision, dict) and guarded_read.is_str_list(revision.get("images")) for revision in revision_rows
    ):
        return revision_rows
    raise guarded_read.malformed(path, "revisions and their images")


def retain_revision(root: FencedStore, owner: str, revision: str, images: list[str], limit: int) -> None:
    """Note what was applied, and forget what lies more than ``limit`` revisions back.

    On a full disk the note is not written: what would have been forgotten stays noted until there is room."""
    previous = retained_revisions(root, owner) or []
    if not images:
        return
    digests = sorted(set(images))
    other_revisions = [entry for entry in previous if entry.get("images") != digests]
    retained = [{"revision": revision, "at": time.time(), "images": digests}, *other_revisions][: max(1, limit)]
    if [(entry["revision"], entry["images"]) for entry in retained] == [
        (old_entry.get("revision"), old_entry.get("images")) for old_entry in previous
    ]:
        return
    document = {"format": layout.FORMAT, "revisions": retained}
    root.write_cache(root.fleet(owner) + "/revisions.json", frames.encode_json(document))


def retained_images(root: layout.StoreLayout, owner: str, notes: guarded_read.Notes | None = None) -> set[str] | None:
    """The images that a fleet keeps here; None where that is not known."""
    retained = retained_revisions(root, owner, notes)
    return None if retained is None else {digest for entry in retained for digest in entry.get("images", ())}
