"""The record of an instance (``record.json``): written once, with a digest, so that edits by hand are detected.

Code that acts on a record reads it here. Records of an earlier layout have no digest and are accepted.
"""

from __future__ import annotations

import json

from .. import errors
from ..protocol import frames
from ..storage import guarded_read, identifiers, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DIGEST_SUFFIX_SIZE = 11 + 64 + 2
"""Bytes of ``,"digest":"<64 hex>"}``, which end a record as it was written."""


def encode_record(record: dict[str, Any]) -> bytes:
    """The bytes of a record that is to be written."""
    text = frames.encode_json(record)
    return text[:-1] + b',"digest":"' + identifiers.sha256_hex(text).encode() + b'"}'


def read_record(directory: str) -> dict[str, Any] | None:
    """The record in an instance's folder, None where there is none; a ``damaged`` Problem where it is not as it was
    written. One that was only laid out anew, as editors and ``jq`` do, says the same."""
    path = directory + "/record.json"
    data = guarded_read.read_bytes(path)
    if data is None:
        return None
    record = guarded_read.parse_json(data, path)
    if not isinstance(record, dict):
        raise guarded_read.malformed(path, "no object")
    if not (_is_newer(record) or _matches_digest(data, record)):
        raise errors.HostError("damaged", f"{path} was edited by hand", "plan again: it is replaced", path=path)
    return record


def _is_newer(record: dict[str, Any]) -> bool:
    """Of one that a newer unictl wrote nobody here knows what it should look like."""
    record_format = record.get("format")
    return isinstance(record_format, int) and record_format > layout.FORMAT


def _matches_digest(data: bytes, record: dict[str, Any]) -> bool:
    digest = record.get("digest")
    if digest is None or digest == identifiers.sha256_hex(data[:-_DIGEST_SUFFIX_SIZE] + b"}"):
        return True
    content = {name: value for name, value in record.items() if name != "digest"}
    return str(digest) == identifiers.sha256_hex(json.dumps(content, separators=(",", ":")).encode())
