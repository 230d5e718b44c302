"""How a run ended: judged by the instance's record, and written down. Who starts it again is not known here."""

from __future__ import annotations

import time

from . import claims, facts, reading, records, ring, sealed, verdicts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def judged(folder: str, end: dict[str, Any], stopping: bool) -> tuple[str, int | None, bool]:
    """(verdict, the guest's code where it is known, whether its record wants another start) of an end."""
    record = reading.noted(None, sealed.read, folder) or {}
    text = ring.clean(ring.content(folder, ring.TAIL_BYTES))
    rules = claims.run_of(folder)["exits"]
    verdict, code = verdicts.judge(rules, end, text, stopping)
    return verdict, code, verdicts.restarts(str(record.get("restart", "never")), verdict)


def write(
    folder: str, number: int, end: dict[str, Any], verdict: str, code: int | None = None, pause: float | None = None
) -> None:
    """Add the end of its start ``number``. ``pause``: seconds until it is started again; None where it is not."""
    entry = {"format": records.FORMAT, "event": "ended", "n": number, "boot": records.boot_id(), **end}
    entry.update(verdict=verdict, code=code, at=time.time(), console=ring.tail(folder))
    entry.update(restarting=pause is not None, pause=pause)
    try:
        facts.append(folder, entry)
        facts.bound(folder)
    except OSError:
        # A full disk, or the folder has been retired: `alive` is free, which every reader understands.
        return
