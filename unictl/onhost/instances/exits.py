"""Judges how a run ended by the instance's record, and appends the result to the run log. Restarting is decided
elsewhere.
"""

from __future__ import annotations

import time

from ..storage import guarded_read, layout
from . import claims, console_log, exit_verdicts, record_file, run_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def judged(folder: str, end: dict[str, Any], stopping: bool) -> tuple[str, int | None, bool]:
    """(verdict, the guest's code where it is known, whether its record wants another start) of an end."""
    record = guarded_read.noted(None, record_file.read, folder) or {}
    text = console_log.clean(console_log.content(folder, console_log.TAIL_BYTES))
    rules = claims.run_of(folder)["exits"]
    verdict, code = exit_verdicts.judge(rules, end, text, stopping)
    return verdict, code, exit_verdicts.restarts(str(record.get("restart", "never")), verdict)


def write(
    folder: str, number: int, end: dict[str, Any], verdict: str, code: int | None = None, pause: float | None = None
) -> None:
    """Add the end of its start ``number``. ``pause``: seconds until it is started again; None where it is not."""
    entry = {"format": layout.FORMAT, "event": "ended", "n": number, "boot": layout.boot_id(), **end}
    entry.update(verdict=verdict, code=code, at=time.time(), console=console_log.tail(folder))
    entry.update(restarting=pause is not None, pause=pause)
    try:
        run_log.append(folder, entry)
        run_log.bound(folder)
    except OSError:
        # A full disk, or the folder has been retired: `alive` is free, which every reader understands.
        return
