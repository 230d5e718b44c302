"""The record of an instance (``record.json``): written once, with a digest, so that edits by hand are detected.

Code that acts on a record reads it here. Records of an earlier layout have no digest and are accepted.
"""

from __future__ import annotations

import json

from ..protocol import frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_END = 11 + 64 + 2
"""Bytes of ``,"digest":"<64 hex>"}``, which end a record as it was written."""


def encode(record: dict[str, Any]) -> bytes:
    """The bytes of a record that is to be written."""
    text = frames.encode(record)
    return text[:-1] + b',"digest":"' + layout.hashed(text).encode() + b'"}'


def read(folder: str) -> dict[str, Any] | None:
    """The record in an instance's folder, None where there is none; a ``damaged`` Problem where it is not as it was
    written. One that was only laid out anew, as editors and ``jq`` do, says the same."""
    path = folder + "/record.json"
    data = guarded_read.read_bytes(path)
    if data is None:
        return None
    record = guarded_read.parsed(data, path)
    if not isinstance(record, dict):
        raise guarded_read.odd_content(path, "no object")
    if not (_newer(record) or _as_written(data, record)):
        raise frames.Problem("damaged", f"{path} was edited by hand", "plan again: it is replaced", path=path)
    return record


def _newer(record: dict[str, Any]) -> bool:
    """Of one that a newer unictl wrote nobody here knows what it should look like."""
    told = record.get("format")
    return isinstance(told, int) and told > layout.FORMAT


def _as_written(data: bytes, record: dict[str, Any]) -> bool:
    digest = record.get("digest")
    if digest is None or digest == layout.hashed(data[:-_END] + b"}"):
        return True
    said = {name: value for name, value in record.items() if name != "digest"}
    return str(digest) == layout.hashed(json.dumps(said, separators=(",", ":")).encode())
