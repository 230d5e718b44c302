"""What a survey tells of earlier applies: how long their steps took, what their gates said. Reads only."""

from __future__ import annotations

import os

from . import records, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TAIL = 64 << 10
LAST = 3


def last(root: records.Root, owner: str) -> list[dict[str, Any]]:
    """The last complete ones as {at, took, staged}. Only the ledger's end is read, since every survey asks for it."""
    try:
        descriptor = os.open(root.fleet(owner) + "/ledger.jsonl", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        tail = os.pread(descriptor, TAIL, max(0, os.fstat(descriptor).st_size - TAIL))
    except OSError:
        return []
    finally:
        os.close(descriptor)
    known = [entry for entry in readable(tail) if entry.get("end") == "complete" and entry.get("took")]
    return [{key: entry[key] for key in ("at", "took", "staged") if key in entry} for entry in known[-LAST:]]


def gates(root: records.Root, owner: str) -> list[dict[str, Any]]:
    """What the gates said last as {service, fingerprint, at, healthy}: failures, and what took one back."""
    try:
        told = records.read_json(root.fleet(owner) + "/gates.json")
    except wire.Problem:
        return []
    return [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []


def readable(text: bytes) -> list[dict[str, Any]]:
    """The ledger's entries in the order of their tokens; a torn line is ignored."""
    return sorted(records.rows(text), key=lambda entry: int(entry.get("token", 0)))
