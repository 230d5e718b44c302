"""The image store: images by SHA-256, shared by all fleets, complete or absent, read-only.

A pin (``fleets/<owner>/pinned-images/<sha>``) protects an image from garbage collection.
"""

from __future__ import annotations

import os

from ..storage import atomic, guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..storage.fenced_store import FencedStore


def pin(root: FencedStore, owner: str, digest: str) -> None:
    """Say that this fleet wants an image."""
    directory = root.fleet(owner) + "/pinned-images"
    atomic.make_dirs(directory)
    if not os.path.exists(f"{directory}/{digest}"):
        root.write_in_place(f"{directory}/{digest}", b"")
        atomic.sync_directory(directory)


def list_images(root: layout.StoreLayout) -> list[str]:
    """Every image that is whole; what else lies there is not ours."""
    return [name for name in guarded_read.list_names(root.images) if layout.is_digest(name)]
