"""The state of an instance as the store shows it. Read-only; imports little, because every survey loads it."""

from __future__ import annotations

import os
import time

from ..storage import guarded_read, layout, locks
from ..systemd import units
from . import run_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


KEEPER_PAUSE = 0.25
"""Seconds a survey waits for a keeper to judge an end that it must have noticed."""


PROBLEM = "/problem"
"""In the run folder: why the start program of its unit waits."""


def state(root: layout.Root, owner: str, key: str, kept: bool | None = None) -> dict[str, Any]:
    """{state, end, since, starts, why?} of one instance. ``kept``: whether its keeper lives, if the caller knows."""
    folder, run = root.instance(owner, key), root.run(layout.token(owner, key))
    alive = run + "/alive"
    last = run_log.last(folder)
    kept = keeper_lives(root, owner) if kept is None else kept
    running = locks.held(alive)
    if kept and not running and (last or {}).get("event") == "started":
        last = _judged(folder, last)
    row: dict[str, Any] = {
        "state": "begun",
        "end": run_log.end_of(last),
        "since": (last or {}).get("at", 0.0),
        "starts": int((last or {}).get("n", 0)),
    }
    if os.path.exists(folder + "/intent"):
        row["state"] = "leaving"
    elif running:
        row.update(state="running" if kept else "unsupervised", end=None)
    elif last is not None:
        _not_running(row, last, units.name(root, owner, key))
        if row["state"] == "starting" or (row["end"] or {}).get("restarting"):
            row["why"] = _waits(run)
    return row


def _waits(run: str) -> str:
    """Why it does not start yet although it is tried; empty where nothing hinders it."""
    told = guarded_read.noted(None, guarded_read.read_object, run + PROBLEM) or {}
    return str(told.get("text", ""))


def _judged(folder: str, last: dict[str, Any] | None) -> dict[str, Any] | None:
    """Its process has just ended, or is just being started again, and its keeper is about to write it down."""
    deadline = time.monotonic() + KEEPER_PAUSE
    while last is not None and last.get("event") == "started" and last.get("boot") == layout.boot_id():
        if time.monotonic() > deadline:
            return last
        time.sleep(0.002)
        last = run_log.last(folder)
    return last


def _not_running(row: dict[str, Any], last: dict[str, Any], unit: str) -> None:
    rebooted = last.get("boot") != layout.boot_id()
    if rebooted and run_log.comes_back(last):
        row.update(state="starting" if units.enabled(unit) and units.coming(unit) else "lost", end=None)
    else:
        row["state"] = "ended"
        row["end"] = row["end"] or dict(run_log.UNWATCHED, at=time.time())


def keeper_folder(root: layout.Root, owner: str) -> str:
    """Its run folder: ``lock`` and ``socket``."""
    return root.run(layout.token(owner))


def keeper_lives(root: layout.Root, owner: str) -> bool:
    """Whether a keeper of this fleet holds its lock."""
    return locks.held(keeper_folder(root, owner) + "/lock")
