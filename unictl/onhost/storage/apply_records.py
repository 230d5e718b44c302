"""Records of earlier applies that a survey reports: durations of steps and results of health gates. Read-only."""

from __future__ import annotations

import os

from . import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TAIL_BYTES = 64 << 10
MAX_APPLIES = 3


def last_completed(
    root: layout.StoreLayout, owner: str, notes: guarded_read.Notes | None = None
) -> list[dict[str, Any]]:
    """The last complete ones as {at, took, staged}. Only the ledger's end is read, since every survey asks for it."""
    tail = guarded_read.read_or_note(notes, _read_tail, root.fleet(owner) + "/ledger.jsonl") or b""
    completed = [entry for entry in parse_ledger(tail) if entry.get("end") == "complete" and _has_durations(entry)]
    return [{key: entry[key] for key in ("at", "took", "staged") if key in entry} for entry in completed[-MAX_APPLIES:]]


def _read_tail(path: str) -> bytes:
    try:
        descriptor = guarded_read.open_regular(path)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, TAIL_BYTES, max(0, os.fstat(descriptor).st_size - TAIL_BYTES))
    finally:
        os.close(descriptor)


def _has_durations(entry: dict[str, Any]) -> bool:
    """Whether it tells how long its steps took, and when that was."""
    durations = entry.get("took")
    pairs = list(durations.values()) if isinstance(durations, dict) else []
    staged = [entry["staged"]] if "staged" in entry else []
    return bool(pairs) and all(map(_is_number_pair, pairs + staged)) and isinstance(entry.get("at"), (int, float))


def _is_number_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(guarded_read.is_uint, value))


def gate_results(root: layout.StoreLayout, owner: str, notes: guarded_read.Notes | None = None) -> list[dict[str, Any]]:
    """What the gates said last as {service, fingerprint, at, healthy}: failures, and what took one back."""
    return guarded_read.read_or_note(notes, _read_gates, root.fleet(owner) + "/gates.json") or []


def _read_gates(path: str) -> list[dict[str, Any]]:
    results = guarded_read.read_json(path)
    if results is None or (isinstance(results, list) and all(map(_is_gate_result, results))):
        return results or []
    raise guarded_read.malformed(path, "what gates said")


def _is_gate_result(result: Any) -> bool:
    return (
        isinstance(result, dict)
        and guarded_read.is_str_list([result.get("service"), result.get("fingerprint")])
        and isinstance(result.get("at"), (int, float))
        and isinstance(result.get("healthy"), bool)
    )


def parse_ledger(text: bytes) -> list[dict[str, Any]]:
    """The ledger's entries in the order of their tokens; what is torn or has none is ignored."""
    entries = (entry for entry in guarded_read.parse_lines(text) if guarded_read.is_uint(entry.get("token")))
    return sorted(entries, key=lambda entry: int(entry["token"]))
