"""Restart back-off: 1 s, 2, 4 ... 60 s after an end, and 1 s again after a stable run.

The pause is part of the run log, so that another supervisor continues from it.
"""

from __future__ import annotations

import time

from ..storage import layout
from . import run_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FIRST, MOST = 1.0, 60.0
STEADY = 60.0
"""Seconds of running after which the back-off begins anew."""


def longer(pause: float) -> float:
    """The pause after this one; the first after 0."""
    return min(pause * 2, MOST) if pause else FIRST


def after(folder: str, ran: float) -> float:
    """Seconds to wait after a run of ``ran`` seconds, by what was waited before it."""
    if ran >= STEADY:
        return FIRST
    ends = [entry for entry in run_log.entries(folder) if entry.get("event") == "ended"]
    before = ends[-1] if ends and ends[-1].get("boot") == layout.boot_id() else {}
    return longer(float(before.get("pause") or 0.0))


def left(end: dict[str, Any]) -> float:
    """Seconds of the pause after an end that are still to come. The clock may have been set since."""
    pause = float(end.get("pause") or FIRST)
    return min(max(0.0, float(end.get("at", 0.0)) + pause - time.time()), pause)
