"""Digest and facts of image files in the fleet's directory or anywhere on this machine."""

import hashlib
from pathlib import Path

from unictl.guests.identify import identify
from unictl.guests.image_facts import ImageFacts
from unictl.images.stable_reader import CHUNK_SIZE, StableReader
from unictl.revisions.file_tree import FileTree


def read_tree_facts(tree: FileTree, path: str) -> ImageFacts:
    """Digest, size and what the bytes say; OSError where the file cannot be read, or is being written."""
    disk_path = tree.on_disk(path)
    if disk_path is None:
        return identify(tree.read(path))
    return read_file_facts(disk_path)


def read_file_facts(path: Path) -> ImageFacts:
    """The same of a file wherever it lies."""
    with path.open("rb") as file:
        reader = StableReader(file)
        digest = hashlib.sha256()
        for offset in range(0, len(reader), CHUNK_SIZE):
            digest.update(reader.read(offset, CHUNK_SIZE))
        return identify(reader, sha256=digest.hexdigest())
