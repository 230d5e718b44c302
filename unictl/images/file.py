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
    return facts_of_file(place)


def facts_of_file(place: Path) -> ImageFacts:
    """The same of a file wherever it lies."""
    if not place.stat().st_size:
        return identify(b"")
    with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return identify(view)
