"""This very code as it came: the zip it runs from, and by which digest a keeper of other code is known."""

from __future__ import annotations

import os
import sys

from . import reading, records, wire

_NAME = "/code"
"""In a keeper's folder: the digest of what it runs."""
_DIGEST: list[str] = []


def place() -> str:
    """The path of the zip; empty where this runs from a folder."""
    if __package__ != "onhost":
        return ""
    return next(place for place in sys.path if place.startswith("/proc/self/fd/") or place.endswith(".zip"))


def data() -> bytes:
    """Its bytes."""
    return reading.read_bytes(place()) or b""


def digest() -> str:
    """Their SHA-256; empty where this runs from a folder."""
    if not _DIGEST:
        import hashlib

        _DIGEST.append(hashlib.sha256(data()).hexdigest() if place() else "")
    return _DIGEST[0]


def note(folder: str) -> None:
    """Let others know what code the keeper of this folder runs."""
    if not digest():
        return
    try:
        records.write_plain(folder + _NAME, digest().encode(), sync=False)
    except wire.Problem:
        # On a full disk it counts as of other code, and is asked to change at the next contact.
        records.remove_file(folder + _NAME)


def current(folder: str) -> bool:
    """Whether the keeper of this folder runs this very code."""
    return not digest() or (reading.read_bytes(folder + _NAME) or b"").decode("ascii", "replace") == digest()


def handed() -> tuple[int, str]:
    """A descriptor of it to hand down, and what to look for behind that: empty for the zip itself, or a folder."""
    if place():
        return os.dup(int(place().rsplit("/", 1)[1])), ""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.open(folder, os.O_RDONLY | os.O_CLOEXEC), folder
