"""``record.json`` of an instance: written once with its own digest, so that an edit by hand is no instruction.

Who acts on a record reads it here. Records of an earlier layout bear no digest, and are believed.
"""

from __future__ import annotations

import json

from . import reading, records, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_END = 11 + 64 + 2
"""Bytes of ``,"digest":"<64 hex>"}``, which end a record as it was written."""


def encode(record: dict[str, Any]) -> bytes:
    """The bytes of a record that is to be written."""
    text = wire.encode(record)
    return text[:-1] + b',"digest":"' + records.hashed(text).encode() + b'"}'


def read(folder: str) -> dict[str, Any] | None:
    """The record in an instance's folder, None where there is none; a ``damaged`` Problem where it is not as it was
    written. One that was only laid out anew, as editors and ``jq`` do, says the same."""
    path = folder + "/record.json"
    data = reading.read_bytes(path)
    if data is None:
        return None
    record = reading.parsed(data, path)
    if not isinstance(record, dict):
        raise reading.odd_content(path, "no object")
    if not (_newer(record) or _as_written(data, record)):
        raise wire.Problem("damaged", f"{path} was edited by hand", "plan again: it is replaced", path=path)
    return record


def _newer(record: dict[str, Any]) -> bool:
    """Of one that a newer unictl wrote nobody here knows what it should look like."""
    told = record.get("format")
    return isinstance(told, int) and told > records.FORMAT


def _as_written(data: bytes, record: dict[str, Any]) -> bool:
    digest = record.get("digest")
    if digest is None or digest == records.hashed(data[:-_END] + b"}"):
        return True
    said = {name: value for name, value in record.items() if name != "digest"}
    return str(digest) == records.hashed(json.dumps(said, separators=(",", ":")).encode())
