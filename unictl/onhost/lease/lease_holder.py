"""The holder of a lease, and the files that killed runs left behind. Read-only."""

from __future__ import annotations

import os
import time

from ..platform import processes
from ..storage import guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def current_holder(root: layout.StoreLayout, owner: str) -> dict[str, Any] | None:
    """Who holds the lease now, or None.

    ``process``: T for a stopped one; ``silent_seconds``: seconds without a beat.
    """
    path = lease_path(root, owner)
    if not locks.is_locked(path):
        return None
    record = read_holder(path)
    holder_record = {key: record.get(key, "") for key in ("user", "pid", "since", "doing", "revision", "token")}
    holder_record["silent"] = round(silent_seconds(path), 1)
    holder_record["process"] = processes.process_state(record.get("pid", 0), record.get("ticks"))
    return holder_record


def read_holder(path: str) -> dict[str, Any]:
    """What the holder of this lock file said of itself; nothing that is not of its kind. It is for people only."""
    record = guarded_read.read_or_note(None, guarded_read.read_object, path + ".holder") or {}
    return {
        field: record[field]
        for field, field_type in _HOLDER_FIELDS.items()
        if isinstance(record.get(field), field_type)
    }


_HOLDER_FIELDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("user", "doing", "revision"), str),
    **dict.fromkeys(("pid", "ticks", "token"), int),
    "since": (int, float),
}


def silent_seconds(path: str) -> float:
    """Seconds since the holder of this lock file last beat; 0 where none is known."""
    try:
        return max(0.0, time.monotonic() - float(guarded_read.read_bytes(path) or b""))
    except ValueError:
        return 0.0


def find_leftovers(root: layout.StoreLayout, owner: str) -> list[str]:
    """Paths of what was begun aside and never finished: ``.new-*``, ``.gone-*``, partial images nobody wants."""
    fleet_directory = root.fleet(owner)
    directories = [
        fleet_directory,
        fleet_directory + "/instances",
        fleet_directory + "/retired",
        fleet_directory + "/volumes",
        fleet_directory + "/pinned-images",
    ]
    paths = [path for directory in directories for path in _aside_paths(directory, ())]
    paths += _aside_paths(root.leases, (f".new-{owner}.",))
    for partial_path in _aside_paths(root.images, (".partial-",)):
        if (
            not _is_pinned(root, os.path.basename(partial_path)[len(".partial-") :])
            and guarded_read.read_or_note(None, locks.is_locked, partial_path) is False
        ):
            paths.append(partial_path)
    return paths


def _aside_paths(directory: str, prefixes: tuple[str, ...]) -> list[str]:
    """What stands aside in a folder, without what this very process is writing there now."""
    try:
        entries = os.listdir(directory)
    except OSError:
        return []
    own_suffix = f"-{os.getpid()}-"
    return [
        f"{directory}/{name}"
        for name in entries
        if name.startswith(prefixes or (".new-", ".gone-")) and own_suffix not in name
    ]


def _is_pinned(root: layout.StoreLayout, digest: str) -> bool:
    return any(os.path.exists(f"{root.fleet(owner)}/pinned-images/{digest}") for owner in root.owners())


def lease_path(root: layout.StoreLayout, owner: str) -> str:
    """The lock file of a fleet's lease."""
    return f"{root.leases}/{layout.safe_component(owner)}"
