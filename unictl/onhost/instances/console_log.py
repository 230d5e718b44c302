"""The console log of a guest: two files of bounded size, the older one dropped. And its text, cleaned.

Console output is hostile input: every reader goes through ``clean_text``.
"""

from __future__ import annotations

import os
import re

from .. import errors
from ..hypervisors import drivers
from ..storage import atomic, guarded_read

FILE_LIMIT = 1 << 20
"""Bytes of each of the two files."""
TAIL_BYTES = 64 << 10
TAIL_LINES = 20
LINE_LIMIT = 400

_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class ConsoleLog:
    """The writing end, held by the supervisor. A full disk costs console lines, never the guest."""

    def __init__(self, directory: str, limit: int = FILE_LIMIT):
        self.directory = directory
        self.limit = limit
        self.descriptor = -1
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append; begin the other file when this one is full."""
        try:
            if self.descriptor < 0:
                self._open()
            if self.size and self.size + len(data) > self.limit:
                os.rename(self.directory + "/console.1", self.directory + "/console.0")
                self.close()
                self._open()
            self.size += os.write(self.descriptor, data[-self.limit :])
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self.descriptor = os.open(self.directory + "/console.1", flags, 0o600)
        self.size = os.fstat(self.descriptor).st_size


def clean_text(data: bytes) -> str:
    """Console bytes as text without control characters and terminal sequences; lines end in a line feed."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    for driver in drivers.load_all().values():
        if driver.OWN_LINES is not None:
            text = driver.OWN_LINES.sub("", text)
    return _CONTROL_CHARACTERS.sub("", _TERMINAL_SEQUENCE.sub("", text))


def read_content(directory: str, limit: int = 2 * FILE_LIMIT) -> bytes:
    """The last ``limit`` bytes of both files."""
    newer = _read_end(directory + "/console.1", limit)
    older = _read_end(directory + "/console.0", limit - len(newer)) if len(newer) < limit else b""
    return older + newer


def last_lines(directory: str) -> list[str]:
    """The last lines, cleaned and cut to a length that fits a record."""
    lines = clean_text(read_content(directory, TAIL_BYTES)).rstrip("\n").split("\n")
    return [line[:LINE_LIMIT] for line in lines[-TAIL_LINES:]] if lines != [""] else []


def _read_end(path: str, limit: int) -> bytes:
    try:
        descriptor = guarded_read.open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
    except (FileNotFoundError, errors.HostError):
        return b""
    try:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, limit, max(0, size - limit))
    finally:
        os.close(descriptor)


def remove_files(directory: str) -> None:
    """Remove both files."""
    for name in ("console.0", "console.1"):
        atomic.remove_file(f"{directory}/{name}")
