"""Images that are files of the repository: their digest and facts."""

import hashlib
from pathlib import Path

from unictl.guests.facts import ImageFacts
from unictl.guests.identify import identify
from unictl.images.steady import PIECE, Steady
from unictl.revisions.tree import Tree


def facts_of(tree: Tree, path: str) -> ImageFacts:
    """Digest, size and what the bytes say; OSError where the file cannot be read, or is being written."""
    place = tree.on_disk(path)
    if place is None:
        return identify(tree.read(path))
    return facts_of_file(place)


def facts_of_file(place: Path) -> ImageFacts:
    """The same of a file wherever it lies."""
    with place.open("rb") as file:
        steady = Steady(file)
        digest = hashlib.sha256()
        for at in range(0, len(steady), PIECE):
            digest.update(steady.read(at, PIECE))
        return identify(steady, sha256=digest.hexdigest())
