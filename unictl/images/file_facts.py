"""Digest and facts of image files in the fleet's directory or anywhere on this machine."""

import hashlib
from pathlib import Path

from unictl.guests.identify import identify
from unictl.guests.image_facts import ImageFacts
from unictl.images.stable_reader import PIECE, Steady
from unictl.revisions.file_tree import Tree


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
