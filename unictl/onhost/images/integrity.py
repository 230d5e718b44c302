"""Integrity of stored images, verified without reading them each time.

An image is hashed when it arrives, and its stat data (inode, size, times) is recorded. While that is unchanged,
nobody wrote to the file; otherwise its bytes are read again. With ``reread`` they are read in any case: only that
finds silent disk corruption. The records are a cache: without them an image is verified when it is next needed.
"""

from __future__ import annotations

import os

from .. import errors
from ..protocol import frames
from ..storage import atomic, guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_READ_SIZE = 1 << 20
_NOTES_FILE = "/.seen"


def hash_prefix(descriptor: int, size: int) -> Any:
    """SHA-256 over the first ``size`` bytes of a file; to go on with."""
    import hashlib

    hasher = hashlib.sha256()
    offset = 0
    while offset < size:
        piece = os.pread(descriptor, min(_READ_SIZE, size - offset), offset)
        if not piece:
            break
        hasher.update(piece)
        offset += len(piece)
    return hasher


def find_damaged(root: layout.StoreLayout, digests: list[str]) -> list[str]:
    """Those of the stored images that changed since they were hashed, and are not what they are called any more."""
    notes = _read_notes(root)
    return [digest for digest in digests if digest in notes and not _verify_with(root, digest, notes)]


def verify(root: layout.StoreLayout, digest: str, reread: bool = False) -> bool:
    """Whether a stored image is what its name says; False where there is none. ``reread``: do not believe the notes."""
    return _verify_with(root, digest, {} if reread else _read_notes(root))


def damage_text(digest: str) -> str:
    """What is said of a damaged image."""
    return f"image {digest[:12]} is damaged on this host: its bytes are not those of its name any more"


def _verify_with(root: layout.StoreLayout, image_digest: str, notes: dict[str, Any]) -> bool:
    try:
        descriptor = guarded_read.open_regular(f"{root.images}/{image_digest}", os.O_RDONLY | os.O_NOFOLLOW)
    except (OSError, errors.HostError):
        return False
    try:
        file_stat = os.fstat(descriptor)
        stamp = [file_stat.st_ino, file_stat.st_size, file_stat.st_mtime_ns, file_stat.st_ctime_ns]
        recorded = notes.get(image_digest)
        if isinstance(recorded, list) and recorded[:-1] == stamp:
            return bool(recorded[-1])
        # Of another length than it was when it was right, it need not be read.
        size_differs = (
            isinstance(recorded, list)
            and len(recorded) > len(stamp)
            and recorded[-1]
            and recorded[1] != file_stat.st_size
        )
        matches: bool = not size_differs and hash_prefix(descriptor, file_stat.st_size).hexdigest() == image_digest
    except OSError:
        # A disk that cannot give the bytes back has lost them.
        return False
    finally:
        os.close(descriptor)
    _write_note(root, image_digest, [*stamp, matches])
    return matches


def remember_verified(root: layout.StoreLayout, digest: str) -> None:
    """Note an image that was hashed just now and has its name."""
    file_stat = os.stat(f"{root.images}/{digest}")
    _write_note(root, digest, [file_stat.st_ino, file_stat.st_size, file_stat.st_mtime_ns, file_stat.st_ctime_ns, True])


def _read_notes(root: layout.StoreLayout) -> dict[str, Any]:
    return guarded_read.read_or_note(None, guarded_read.read_object, root.images + _NOTES_FILE) or {}


def _write_note(root: layout.StoreLayout, digest: str, note: list[Any]) -> None:
    """Two writers at once lose one note, never more: the name aside is always the same, so nothing is left over."""
    notes = {name: recorded for name, recorded in _read_notes(root).items() if os.path.exists(f"{root.images}/{name}")}
    notes[digest] = note
    aside = root.images + _NOTES_FILE + ".new"
    try:
        atomic.write_in_place(aside, frames.encode_json(notes), sync=False)
        os.rename(aside, root.images + _NOTES_FILE)
    except (errors.HostError, OSError):
        return
