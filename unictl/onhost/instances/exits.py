"""Judges how a run ended by the instance's record, and appends the result to the run log. Restarting is decided
elsewhere.
"""

from __future__ import annotations

import time

from ..storage import guarded_read, identifiers, layout
from . import claims, console_log, exit_verdicts, record_file, run_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def judge_exit(directory: str, end: dict[str, Any], is_stopping: bool) -> tuple[str, int | None, bool]:
    """(verdict, the guest's code where it is known, whether its record wants another start) of an end."""
    record = guarded_read.read_or_note(None, record_file.read_record, directory) or {}
    text = console_log.clean_text(console_log.read_content(directory, console_log.TAIL_BYTES))
    rules = claims.run_spec(directory)["exits"]
    verdict, code = exit_verdicts.classify_exit(rules, end, text, is_stopping)
    return verdict, code, exit_verdicts.is_restarted(str(record.get("restart", "never")), verdict)


def record_exit(
    directory: str,
    start_number: int,
    end: dict[str, Any],
    verdict: str,
    code: int | None = None,
    pause: float | None = None,
) -> None:
    """Add the end of its start ``start_number``. ``pause``: seconds until it is started again; None where it is not."""
    entry = {"format": layout.FORMAT, "event": "ended", "n": start_number, "boot": identifiers.boot_id(), **end}
    entry.update(verdict=verdict, code=code, at=time.time(), console=console_log.last_lines(directory))
    entry.update(restarting=pause is not None, pause=pause)
    try:
        run_log.append(directory, entry)
        run_log.truncate(directory)
    except OSError:
        # A full disk, or the folder has been retired: `alive` is free, which every reader understands.
        return
