"""The state of an instance as the store shows it. Read-only; imports little, because every survey loads it."""

from __future__ import annotations

import os
import time

from ..storage import guarded_read, identifiers, layout, locks
from ..systemd import units
from . import run_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


SUPERVISOR_PAUSE = 0.25
"""Seconds a survey waits for a supervisor to judge an end that it must have noticed."""


PROBLEM_FILE = "/start-error"
"""In the run folder: why the start program of its unit waits."""


def read_state(root: layout.StoreLayout, owner: str, key: str, supervised: bool | None = None) -> dict[str, Any]:
    """{state, end, since, starts, why?} of one instance.

    ``supervised``: whether its supervisor lives, if the caller knows.
    """
    directory, run_directory = root.instance(owner, key), root.run(identifiers.run_dir_name(owner, key))
    alive_path = run_directory + "/alive"
    last_entry = run_log.last_entry(directory)
    supervised = supervisor_alive(root, owner) if supervised is None else supervised
    running = locks.is_locked(alive_path)
    if supervised and not running and (last_entry or {}).get("event") == "started":
        last_entry = _await_judgement(directory, last_entry)
    document: dict[str, Any] = {
        "state": "begun",
        "end": run_log.end_of_entry(last_entry),
        "since": (last_entry or {}).get("at", 0.0),
        "starts": int((last_entry or {}).get("n", 0)),
    }
    if os.path.exists(directory + "/intent"):
        document["state"] = "leaving"
    elif running:
        document.update(state="running" if supervised else "unsupervised", end=None)
    elif last_entry is not None:
        _fill_stopped(document, last_entry, units.unit_name(root, owner, key))
        if document["state"] == "starting" or (document["end"] or {}).get("restarting"):
            document["why"] = _waiting_reason(run_directory)
    return document


def _waiting_reason(run_directory: str) -> str:
    """Why it does not start yet although it is tried; empty where nothing hinders it."""
    problem = guarded_read.read_or_note(None, guarded_read.read_object, run_directory + PROBLEM_FILE) or {}
    return str(problem.get("text", ""))


def _await_judgement(directory: str, last_entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """Its process has just ended, or is just being started again, and its supervisor is about to write it down."""
    deadline = time.monotonic() + SUPERVISOR_PAUSE
    while (
        last_entry is not None
        and last_entry.get("event") == "started"
        and last_entry.get("boot") == identifiers.boot_id()
    ):
        if time.monotonic() > deadline:
            return last_entry
        time.sleep(0.002)
        last_entry = run_log.last_entry(directory)
    return last_entry


def _fill_stopped(document: dict[str, Any], last_entry: dict[str, Any], unit: str) -> None:
    rebooted = last_entry.get("boot") != identifiers.boot_id()
    if rebooted and run_log.restarts_at_boot(last_entry):
        document.update(state="starting" if units.is_enabled(unit) and units.is_activating(unit) else "lost", end=None)
    else:
        document["state"] = "ended"
        document["end"] = document["end"] or dict(run_log.UNOBSERVED_END, at=time.time())


def supervisor_dir(root: layout.StoreLayout, owner: str) -> str:
    """Its run folder: ``lock`` and ``socket``."""
    return root.run(identifiers.run_dir_name(owner))


def supervisor_alive(root: layout.StoreLayout, owner: str) -> bool:
    """Whether a supervisor of this fleet holds its lock."""
    return locks.is_locked(supervisor_dir(root, owner) + "/lock")
