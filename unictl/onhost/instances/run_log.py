"""The run log of an instance (``ends.jsonl``): its starts and ends, written by its supervisor and its own child
process.

Not synced: after a power loss the boot id shows that everything ended. A torn last line is ignored.
"""

from __future__ import annotations

import os

from ..protocol import frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BOUND = 128 << 10
"""Bytes after which only the last entries are kept."""
KEPT = 20


def append(folder: str, entry: dict[str, Any]) -> None:
    """Add one entry in one write."""
    layout.append(folder + "/ends.jsonl", frames.encode(entry))


def bound(folder: str) -> None:
    """Forget all but the last entries of a file that grew long. Only its keeper calls this."""
    path = folder + "/ends.jsonl"
    if os.path.exists(path) and os.path.getsize(path) > BOUND:
        kept = entries(folder)[-KEPT:]
        layout.write_plain(folder + "/.new-ends", b"".join(frames.encode(entry) + b"\n" for entry in kept), sync=False)
        os.rename(folder + "/.new-ends", path)


def entries(folder: str) -> list[dict[str, Any]]:
    """All readable entries, oldest first."""
    return [
        entry for entry in guarded_read.rows(guarded_read.read_bytes(folder + "/ends.jsonl") or b"") if _sound(entry)
    ]


def last(folder: str) -> dict[str, Any] | None:
    """The last readable entry; None for an instance that never started."""
    data = guarded_read.read_bytes(folder + "/ends.jsonl")
    for line in reversed((data or b"").splitlines()):
        entry = guarded_read.row_of(line)
        if entry is not None and _sound(entry):
            return entry
    return None


_NONE = type(None)
_OF: dict[str, Any] = {
    **dict.fromkeys(("event", "boot", "verdict", "why", "invocation"), str),
    **dict.fromkeys(("n", "pid", "ticks"), int),
    **dict.fromkeys(("code", "status", "signal"), (int, _NONE)),
    **dict.fromkeys(("restarting", "seen"), bool),
    "at": (int, float),
    "pause": (int, float, _NONE),
    "reason": (str, _NONE),
    "console": list,
}


def _sound(entry: dict[str, Any]) -> bool:
    """Whether everything in it is of its kind; an odd line is ignored as a torn one is."""
    known = all(isinstance(entry[name], _OF[name]) for name in entry.keys() & _OF.keys())
    return known and "event" in entry and guarded_read.texts(entry.get("console", []))


UNIT_STOPPED = "its unit was stopped"
"""The reason of an end that is none for good: the unit stays enabled, and starts with the host."""


def comes_back(last: dict[str, Any]) -> bool:
    """Whether the next boot starts it, going by its last entry."""
    return bool(last.get("event") != "ended" or last.get("restarting") or last.get("reason") == UNIT_STOPPED)


END_KEYS = ("verdict", "code", "status", "signal", "reason", "at", "console", "restarting", "pause")


def end_of(entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """The ``end`` of a survey's row from an ``ended`` entry."""
    if not entry or entry.get("event") != "ended":
        return None
    return {key: entry.get(key) for key in END_KEYS}


UNWATCHED: dict[str, Any] = {
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
