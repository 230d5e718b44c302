"""Restart back-off: 1 s, 2, 4 ... 60 s after an end, and 1 s again after a stable run.

The pause is part of the run log, so that another supervisor continues from it.
"""

from __future__ import annotations

import time

from ..storage import identifiers
from . import run_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FIRST_PAUSE, MAX_PAUSE = 1.0, 60.0
STABLE_SECONDS = 60.0
"""Seconds of running after which the back-off begins anew."""


def next_pause(pause: float) -> float:
    """The pause after this one; the first after 0."""
    return min(pause * 2, MAX_PAUSE) if pause else FIRST_PAUSE


def pause_after(directory: str, run_seconds: float) -> float:
    """Seconds to wait after a run of ``run_seconds`` seconds, by what was waited before it."""
    if run_seconds >= STABLE_SECONDS:
        return FIRST_PAUSE
    endings = [entry for entry in run_log.read_entries(directory) if entry.get("event") == "ended"]
    previous = endings[-1] if endings and endings[-1].get("boot") == identifiers.boot_id() else {}
    return next_pause(float(previous.get("pause") or 0.0))


def remaining_pause(end: dict[str, Any]) -> float:
    """Seconds of the pause after an end that are still to come. The clock may have been set since."""
    pause = float(end.get("pause") or FIRST_PAUSE)
    return min(max(0.0, float(end.get("at", 0.0)) + pause - time.time()), pause)
