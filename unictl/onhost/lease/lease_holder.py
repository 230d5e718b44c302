"""The holder of a lease, and the files that killed runs left behind. Read-only."""

from __future__ import annotations

import os
import time

from ..platform import processes
from ..storage import guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def holder(root: layout.Root, owner: str) -> dict[str, Any] | None:
    """Who holds the lease now, or None. ``process``: T for a stopped one; ``silent``: seconds without a beat."""
    path = lease_path(root, owner)
    if not locks.held(path):
        return None
    told = told_by(path)
    row = {key: told.get(key, "") for key in ("user", "pid", "since", "doing", "revision", "token")}
    row["silent"] = round(silent(path), 1)
    row["process"] = processes.state(told.get("pid", 0), told.get("ticks"))
    return row


def told_by(path: str) -> dict[str, Any]:
    """What the holder of this lock file said of itself; nothing that is not of its kind. It is for people only."""
    told = guarded_read.noted(None, guarded_read.read_object, path + ".holder") or {}
    return {name: told[name] for name, of in _TOLD.items() if isinstance(told.get(name), of)}


_TOLD: dict[str, Any] = {
    **dict.fromkeys(("user", "doing", "revision"), str),
    **dict.fromkeys(("pid", "ticks", "token"), int),
    "since": (int, float),
}


def silent(path: str) -> float:
    """Seconds since the holder of this lock file last beat; 0 where none is known."""
    try:
        return max(0.0, time.monotonic() - float(guarded_read.read_bytes(path) or b""))
    except ValueError:
        return 0.0


def leftovers(root: layout.Root, owner: str) -> list[str]:
    """Paths of what was begun aside and never finished: ``.new-*``, ``.gone-*``, partial images nobody wants."""
    fleet = root.fleet(owner)
    folders = [fleet, fleet + "/instances", fleet + "/retired", fleet + "/volumes", fleet + "/wanted"]
    left = [path for folder in folders for path in _aside(folder, ())]
    left += _aside(root.leases, (f".new-{owner}.",))
    for partial in _aside(root.images, (".partial-",)):
        if (
            not _wanted(root, os.path.basename(partial)[len(".partial-") :])
            and guarded_read.noted(None, locks.held, partial) is False
        ):
            left.append(partial)
    return left


def _aside(folder: str, begins: tuple[str, ...]) -> list[str]:
    """What stands aside in a folder, without what this very process is writing there now."""
    try:
        found = os.listdir(folder)
    except OSError:
        return []
    mine = f"-{os.getpid()}-"
    return [f"{folder}/{name}" for name in found if name.startswith(begins or (".new-", ".gone-")) and mine not in name]


def _wanted(root: layout.Root, digest: str) -> bool:
    return any(os.path.exists(f"{root.fleet(owner)}/wanted/{digest}") for owner in root.owners())


def lease_path(root: layout.Root, owner: str) -> str:
    """The lock file of a fleet's lease."""
    return f"{root.leases}/{layout.part(owner)}"
