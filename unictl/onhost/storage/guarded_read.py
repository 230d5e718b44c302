"""Guarded reads of files in the store: bounded, non-blocking and validated, because anybody may have changed them.

Anything that is not a regular file, is too long, or is not JSON of the expected type raises a ``damaged`` HostError
that
names the file. Callers that must continue without it (such as a survey) pass a list that collects these errors as
notes.
"""

from __future__ import annotations

import json
import math
import os
import stat

from ..protocol import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Notes = list[frames.Problem]

LONGEST = 64 << 20
"""Bytes of the longest file of a store that is read whole: a ledger is cut at a quarter of it."""
AWAY = "look what it is, and move it away by hand: unictl removes nothing that it did not put there"
ANEW = "the next apply of its fleet writes it anew"
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a link that leads nowhere"),
    (stat.S_ISREG, "a file"),
)


def plain(path: str, flags: int = os.O_RDONLY, mode: int = 0o644) -> int:
    """A descriptor of a plain file; a ``damaged`` Problem where something else lies there, OSError as of open."""
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    except FileNotFoundError:
        raise
    except OSError:
        if kind(path) not in ("a file", ""):
            raise _odd(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _odd(path)
    return descriptor


def kind(path: str) -> str:
    """What lies there, in words; empty where nothing does, or where that cannot be seen."""
    try:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            mode = os.lstat(path).st_mode
    except OSError:
        return ""
    return next((word for test, word in _KINDS if test(mode)), "a device")


def _odd(path: str) -> frames.Problem:
    return frames.Problem("damaged", f"{path} is {kind(path)}, and has to be a file", AWAY, path=path)


def folder(path: str) -> None:
    """A ``damaged`` Problem where something else than a folder lies there; none there is fine."""
    if kind(path) not in ("a folder", ""):
        raise frames.Problem("damaged", f"{path} is {kind(path)}, and has to be a folder", AWAY, path=path)


def read_bytes(path: str) -> bytes | None:
    """All of a file, or None where there is none. A short read is no end: files of /proc give a page at a time."""
    try:
        descriptor = plain(path)
    except FileNotFoundError:
        return None
    try:
        pieces = []
        left = LONGEST - os.fstat(descriptor).st_size
        if left >= 0:
            left = LONGEST
            while left >= 0 and (piece := os.read(descriptor, 65536)):
                pieces.append(piece)
                left -= len(piece)
        if left < 0:
            raise frames.Problem("damaged", f"{path} is longer than anything that belongs there", AWAY, path=path)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def read_json(path: str) -> Any:
    """The JSON in a file, None where there is no file, a ``damaged`` Problem where it is none."""
    data = read_bytes(path)
    return None if data is None else parsed(data, path)


def parsed(data: bytes, path: str) -> Any:
    """The JSON that was read from a file; a ``damaged`` Problem where it is none."""
    try:
        return _JSON.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise frames.Problem("damaged", f"{path} is no JSON any more: {error}", ANEW, path=path) from error


def read_object(path: str) -> dict[str, Any] | None:
    """The same of a file that holds an object; a ``damaged`` Problem where it holds something else."""
    told = read_json(path)
    if told is None or isinstance(told, dict):
        return told
    raise odd_content(path, "no object")


def odd_content(path: str, what: str) -> frames.Problem:
    """What is said of a file that can be read, and does not hold what it has to."""
    return frames.Problem("damaged", f"{path} does not hold what it has to: {what}", ANEW, path=path)


def noted(notes: Notes | None, read: Callable[..., Any], *given: Any) -> Any:
    """What is read, or None and a note where it is damaged or cannot be read: others go on without it."""
    try:
        return read(*given)
    except frames.Problem as problem:
        if notes is not None:
            notes.append(problem)
    except OSError as error:
        if notes is not None:
            text = f"{error.filename} cannot be read: {error.strerror}"
            notes.append(frames.Problem("damaged", text, path=error.filename, errno=error.errno))
    return None


def rows(text: bytes) -> list[dict[str, Any]]:
    """The objects of a file that only grows, a line each; a torn or odd line is ignored."""
    found = []
    for line in text.splitlines():
        row = row_of(line)
        if row is not None:
            found.append(row)
    return found


def row_of(line: bytes) -> dict[str, Any] | None:
    """The object in a line; None where it is torn or odd."""
    try:
        row = _JSON.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def number(value: Any, most: int = 1 << 62) -> bool:
    """Whether it is a whole number from 0 to ``most``."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def texts(value: Any) -> bool:
    """Whether it is a list of strings."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


_JSON = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
"""Without numbers that no JSON has: what is read here is told in JSON."""
