"""The run log of an instance (``exits.jsonl``): its starts and ends, written by its supervisor and its own child
process.

Not synced: after a power loss the boot id shows that everything ended. A torn last line is ignored.
"""

from __future__ import annotations

import os

from ..protocol import frames
from ..storage import atomic, guarded_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    class RunEnd(TypedDict):
        """How a run ended, as a survey reports it."""

        verdict: str
        code: int | None
        status: int | None
        signal: int | None
        reason: str | None
        at: float
        console: list[str]
        restarting: bool
        pause: float | None


MAX_BYTES = 128 << 10
"""Bytes after which only the last entries are kept."""
MAX_ENTRIES = 20


def append(directory: str, entry: dict[str, Any]) -> None:
    """Add one entry in one write."""
    atomic.append(directory + "/run-log.jsonl", frames.encode_json(entry))


def truncate(directory: str) -> None:
    """Forget all but the last entries of a file that grew long. Only its supervisor calls this."""
    path = directory + "/run-log.jsonl"
    if os.path.exists(path) and os.path.getsize(path) > MAX_BYTES:
        remaining = read_entries(directory)[-MAX_ENTRIES:]
        atomic.write_in_place(
            directory + "/.new-ends", b"".join(frames.encode_json(entry) + b"\n" for entry in remaining), sync=False
        )
        os.rename(directory + "/.new-ends", path)


def read_entries(directory: str) -> list[dict[str, Any]]:
    """All readable entries, oldest first."""
    return [
        entry
        for entry in guarded_read.parse_lines(guarded_read.read_bytes(directory + "/run-log.jsonl") or b"")
        if _is_well_formed(entry)
    ]


def last_entry(directory: str) -> dict[str, Any] | None:
    """The last readable entry; None for an instance that never started."""
    data = guarded_read.read_bytes(directory + "/run-log.jsonl")
    for line in reversed((data or b"").splitlines()):
        entry = guarded_read.parse_line(line)
        if entry is not None and _is_well_formed(entry):
            return entry
    return None


_NONE = type(None)
_FIELD_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("event", "boot", "verdict", "why", "invocation"), str),
    **dict.fromkeys(("n", "pid", "ticks"), int),
    **dict.fromkeys(("code", "status", "signal"), (int, _NONE)),
    **dict.fromkeys(("restarting", "seen"), bool),
    "at": (int, float),
    "pause": (int, float, _NONE),
    "reason": (str, _NONE),
    "console": list,
}


def _is_well_formed(entry: dict[str, Any]) -> bool:
    """Whether everything in it is of its kind; an odd line is ignored as a torn one is."""
    has_valid_types = all(isinstance(entry[field], _FIELD_TYPES[field]) for field in entry.keys() & _FIELD_TYPES.keys())
    return has_valid_types and "event" in entry and guarded_read.is_str_list(entry.get("console", []))


UNIT_STOPPED = "its unit was stopped"
"""The reason of an end that is none for good: the unit stays enabled, and starts with the host."""


def restarts_at_boot(entry: dict[str, Any]) -> bool:
    """Whether the next boot starts it, going by its last entry."""
    return bool(entry.get("event") != "ended" or entry.get("restarting") or entry.get("reason") == UNIT_STOPPED)


END_KEYS = ("verdict", "code", "status", "signal", "reason", "at", "console", "restarting", "pause")


def end_of_entry(entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """The ``end`` of a survey's row from an ``ended`` entry."""
    if not entry or entry.get("event") != "ended":
        return None
    return {key: entry.get(key) for key in END_KEYS}


UNOBSERVED_END: RunEnd = {
    "verdict": "unknown",
    "code": None,
    "status": None,
    "signal": None,
    "reason": "ended while nobody watched",
    "at": 0.0,
    "console": [],
    "restarting": False,
    "pause": None,
}
