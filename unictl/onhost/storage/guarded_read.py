"""Guarded reads of files in the store: bounded, non-blocking and validated, because anybody may have changed them.

Anything that is not a regular file, is too long, or is not JSON of the expected type raises a ``damaged`` HostError
that names the file. Callers that must continue without it (such as a survey) pass a list that collects these errors
as notes.
"""

from __future__ import annotations

import json
import math
import os
import stat

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Notes = list[errors.HostError]


MAX_FILE_SIZE = 64 << 20
"""Bytes of the longest file of a store that is read whole: a ledger is cut at a quarter of it."""
MOVE_AWAY_HINT = "look what it is, and move it away by hand: unictl removes nothing that it did not put there"
REWRITE_HINT = "the next apply of its fleet writes it anew"
_FILE_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a link that leads nowhere"),
    (stat.S_ISREG, "a file"),
)


def open_regular(path: str, flags: int = os.O_RDONLY, mode: int = 0o644) -> int:
    """A descriptor of a plain file; a ``damaged`` Problem where something else lies there, OSError as of open."""
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    except FileNotFoundError:
        raise
    except OSError:
        if file_kind(path) not in ("a file", ""):
            raise _not_a_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_a_file(path)
    return descriptor


def file_kind(path: str) -> str:
    """What lies there, in words; empty where nothing does, or where that cannot be seen."""
    try:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            mode = os.lstat(path).st_mode
    except OSError:
        return ""
    return next((word for is_kind, word in _FILE_KINDS if is_kind(mode)), "a device")


def _not_a_file(path: str) -> errors.HostError:
    return errors.HostError("damaged", f"{path} is {file_kind(path)}, and has to be a file", MOVE_AWAY_HINT, path=path)


def require_directory(path: str) -> None:
    """A ``damaged`` Problem where something else than a folder lies there; none there is fine."""
    if file_kind(path) not in ("a folder", ""):
        raise errors.HostError(
            "damaged", f"{path} is {file_kind(path)}, and has to be a folder", MOVE_AWAY_HINT, path=path
        )


def read_bytes(path: str) -> bytes | None:
    """All of a file, or None where there is none. A short read is no end: files of /proc give a page at a time."""
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return None
    try:
        pieces = []
        remaining = MAX_FILE_SIZE - os.fstat(descriptor).st_size
        if remaining >= 0:
            remaining = MAX_FILE_SIZE
            while remaining >= 0 and (piece := os.read(descriptor, 65536)):
                pieces.append(piece)
                remaining -= len(piece)
        if remaining < 0:
            raise errors.HostError(
                "damaged", f"{path} is longer than anything that belongs there", MOVE_AWAY_HINT, path=path
            )
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def read_json(path: str) -> Any:
    """The JSON in a file, None where there is no file, a ``damaged`` Problem where it is none."""
    data = read_bytes(path)
    return None if data is None else parse_json(data, path)


def parse_json(data: bytes, path: str) -> Any:
    """The JSON that was read from a file; a ``damaged`` Problem where it is none."""
    try:
        return _JSON.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise errors.HostError("damaged", f"{path} is no JSON any more: {error}", REWRITE_HINT, path=path) from error


def read_object(path: str) -> dict[str, Any] | None:
    """The same of a file that holds an object; a ``damaged`` Problem where it holds something else."""
    document = read_json(path)
    if document is None or isinstance(document, dict):
        return document
    raise malformed(path, "no object")


def malformed(path: str, detail: str) -> errors.HostError:
    """What is said of a file that can be read, and does not hold what it has to."""
    return errors.HostError("damaged", f"{path} does not hold what it has to: {detail}", REWRITE_HINT, path=path)


def read_or_note(notes: Notes | None, read: Callable[..., Any], *arguments: Any) -> Any:
    """What is read, or None and a note where it is damaged or cannot be read: others go on without it."""
    try:
        return read(*arguments)
    except errors.HostError as problem:
        if notes is not None:
            notes.append(problem)
    except OSError as error:
        if notes is not None:
            text = f"{error.filename} cannot be read: {error.strerror}"
            notes.append(errors.HostError("damaged", text, path=error.filename, errno=error.errno))
    return None


def parse_lines(text: bytes) -> list[dict[str, Any]]:
    """The objects of a file that only grows, a line each; a torn or odd line is ignored."""
    objects = []
    for line in text.splitlines():
        document = parse_line(line)
        if document is not None:
            objects.append(document)
    return objects


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The object in a line; None where it is torn or odd."""
    try:
        document = _JSON.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def is_uint(value: Any, maximum: int = 1 << 62) -> bool:
    """Whether it is a whole number from 0 to ``maximum``."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= maximum


def is_str_list(value: Any) -> bool:
    """Whether it is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


_JSON = json.JSONDecoder(parse_float=_finite_float, parse_constant=_finite_float)
"""Without numbers that no JSON has: what is read here is told in JSON."""


def list_names(directory: str) -> list[str]:
    """Sorted entries of a folder without the hidden ones; none where there is none. A ``damaged`` Problem where
    something else lies there: nobody knows what would be in it."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError:
        require_directory(directory)
        raise
