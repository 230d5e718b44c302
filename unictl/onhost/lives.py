"""The state of an instance as it stands on disk. Reads only; loads little, for every survey comes through here."""

from __future__ import annotations

import os
import time

from . import facts, locks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def state(root: records.Root, owner: str, key: str, kept: bool | None = None) -> dict[str, Any]:
    """{state, end, since, starts} of one instance. ``kept``: whether its keeper lives, if the caller knows."""
    folder = root.instance(owner, key)
    last = facts.last(folder)
    row: dict[str, Any] = {
        "state": "begun",
        "end": facts.end_of(last),
        "since": (last or {}).get("at", 0.0),
        "starts": int((last or {}).get("n", 0)),
    }
    if os.path.exists(folder + "/intent"):
        row["state"] = "leaving"
    elif locks.held(root.run(records.token(owner, key)) + "/alive"):
        kept = keeper_lives(root, owner) if kept is None else kept
        row.update(state="running" if kept else "unsupervised", end=None)
    elif last is not None:
        _not_running(row, last)
    return row


def _not_running(row: dict[str, Any], last: dict[str, Any]) -> None:
    rebooted = last.get("boot") != records.boot_id()
    if rebooted and (last["event"] == "started" or last.get("restarting")):
        row["state"] = "lost"
    else:
        row["state"] = "ended"
        row["end"] = row["end"] or dict(facts.UNWATCHED, at=time.time())


def keeper_folder(root: records.Root, owner: str) -> str:
    """Its run folder: ``lock`` and ``socket``."""
    return root.run(records.token(owner))


def keeper_lives(root: records.Root, owner: str) -> bool:
    """Whether a keeper of this fleet holds its lock."""
    return locks.held(keeper_folder(root, owner) + "/lock")
