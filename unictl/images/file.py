"""Images that are files of the repository: their digest and facts."""

import mmap
from pathlib import Path

from unictl.guests.facts import ImageFacts
from unictl.guests.identify import identify
from unictl.revisions.tree import Tree


def facts_of(tree: Tree, path: str) -> ImageFacts:
    """Digest, size and what the bytes say; OSError where the file cannot be read."""
    place = tree.on_disk(path)
    if place is None:
        return identify(tree.read(path))
    return _mapped(place) if place.stat().st_size else identify(b"")


def _mapped(place: Path) -> ImageFacts:
    with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return identify(view)
