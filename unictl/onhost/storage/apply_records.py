"""Records of earlier applies that a survey reports: durations of steps and results of health gates. Read-only."""

from __future__ import annotations

import os

from . import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TAIL = 64 << 10
LAST = 3


def last(root: layout.Root, owner: str, notes: guarded_read.Notes | None = None) -> list[dict[str, Any]]:
    """The last complete ones as {at, took, staged}. Only the ledger's end is read, since every survey asks for it."""
    tail = guarded_read.noted(notes, _tail, root.fleet(owner) + "/ledger.jsonl") or b""
    known = [entry for entry in readable(tail) if entry.get("end") == "complete" and _took(entry)]
    return [{key: entry[key] for key in ("at", "took", "staged") if key in entry} for entry in known[-LAST:]]


def _tail(path: str) -> bytes:
    try:
        descriptor = guarded_read.plain(path)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, TAIL, max(0, os.fstat(descriptor).st_size - TAIL))
    finally:
        os.close(descriptor)


def _took(entry: dict[str, Any]) -> bool:
    """Whether it tells how long its steps took, and when that was."""
    took = entry.get("took")
    pairs = list(took.values()) if isinstance(took, dict) else []
    staged = [entry["staged"]] if "staged" in entry else []
    return bool(pairs) and all(map(_pair, pairs + staged)) and isinstance(entry.get("at"), (int, float))


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(guarded_read.number, value))


def gates(root: layout.Root, owner: str, notes: guarded_read.Notes | None = None) -> list[dict[str, Any]]:
    """What the gates said last as {service, fingerprint, at, healthy}: failures, and what took one back."""
    return guarded_read.noted(notes, _gates, root.fleet(owner) + "/gates.json") or []


def _gates(path: str) -> list[dict[str, Any]]:
    told = guarded_read.read_json(path)
    if told is None or (isinstance(told, list) and all(map(_gate, told))):
        return told or []
    raise guarded_read.odd_content(path, "what gates said")


def _gate(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and guarded_read.texts([row.get("service"), row.get("fingerprint")])
        and isinstance(row.get("at"), (int, float))
        and isinstance(row.get("healthy"), bool)
    )


def readable(text: bytes) -> list[dict[str, Any]]:
    """The ledger's entries in the order of their tokens; what is torn or has none is ignored."""
    entries = (entry for entry in guarded_read.rows(text) if guarded_read.number(entry.get("token")))
    return sorted(entries, key=lambda entry: int(entry["token"]))
