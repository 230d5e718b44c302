"""Integrity of stored images, verified without reading them each time.

An image is hashed when it arrives, and its stat data (inode, size, times) is recorded. While that is unchanged,
nobody
wrote to the file; otherwise its bytes are read again. With ``reread`` they are read in any case: only that finds
silent
disk corruption. The records are a cache: without them an image is verified when it is next needed.
"""

from __future__ import annotations

import os

from ..protocol import frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_READ = 1 << 20
_NOTES = "/.seen"


def digest(descriptor: int, size: int) -> Any:
    """SHA-256 over the first ``size`` bytes of a file; to go on with."""
    import hashlib

    found = hashlib.sha256()
    at = 0
    while at < size:
        piece = os.pread(descriptor, min(_READ, size - at), at)
        if not piece:
            break
        found.update(piece)
        at += len(piece)
    return found


def damaged(root: layout.Root, shas: list[str]) -> list[str]:
    """Those of the stored images that changed since they were hashed, and are not what they are called any more."""
    notes = _notes(root)
    return [sha for sha in shas if sha in notes and not _holds(root, sha, notes)]


def intact(root: layout.Root, sha: str, read: bool = False) -> bool:
    """Whether a stored image is what its name says; False where there is none. ``read``: do not believe the notes."""
    return _holds(root, sha, {} if read else _notes(root))


def sentence(sha: str) -> str:
    """What is said of a damaged image."""
    return f"image {sha[:12]} is damaged on this host: its bytes are not those of its name any more"


def _holds(root: layout.Root, sha: str, notes: dict[str, Any]) -> bool:
    try:
        descriptor = guarded_read.plain(f"{root.images}/{sha}", os.O_RDONLY | os.O_NOFOLLOW)
    except (OSError, frames.Problem):
        return False
    try:
        told = os.fstat(descriptor)
        stamp = [told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns]
        noted = notes.get(sha)
        if isinstance(noted, list) and noted[:-1] == stamp:
            return bool(noted[-1])
        # Of another length than it was when it was right, it need not be read.
        other = isinstance(noted, list) and len(noted) > len(stamp) and noted[-1] and noted[1] != told.st_size
        good: bool = not other and digest(descriptor, told.st_size).hexdigest() == sha
    except OSError:
        # A disk that cannot give the bytes back has lost them.
        return False
    finally:
        os.close(descriptor)
    _note(root, sha, [*stamp, good])
    return good


def note(root: layout.Root, sha: str) -> None:
    """Note an image that was hashed just now and has its name."""
    told = os.stat(f"{root.images}/{sha}")
    _note(root, sha, [told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns, True])


def _notes(root: layout.Root) -> dict[str, Any]:
    return guarded_read.noted(None, guarded_read.read_object, root.images + _NOTES) or {}


def _note(root: layout.Root, sha: str, row: list[Any]) -> None:
    """Two writers at once lose one note, never more: the name aside is always the same, so nothing is left over."""
    notes = {name: noted for name, noted in _notes(root).items() if os.path.exists(f"{root.images}/{name}")}
    notes[sha] = row
    aside = root.images + _NOTES + ".new"
    try:
        layout.write_plain(aside, frames.encode(notes), sync=False)
        os.rename(aside, root.images + _NOTES)
    except (frames.Problem, OSError):
        return
