"""Retires one instance: makes the intent durable, stops the process, moves the record away.

The directory of a retired instance has the launch number in its name, so nothing has to be opened to find the
highest one.
"""

from __future__ import annotations

import os
import time

from ..images import image_store
from ..instances import console_log, run_log
from ..instances.retired_records import launches, listed, name_of
from ..lease import fleet_lease
from ..protocol import frames
from ..storage import guarded_read, layout
from ..supervision import supervisor

__all__ = ["launches", "listed", "name_of", "prune", "retire"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import Writable


def retire(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Stop one instance and move its record away; what is gone already is fine."""
    held = fleet_lease.require(ask, call)
    root, owner, key = held.root, ask["owner"], layout.part(ask["key"])
    folder = root.instance(owner, key)
    there = os.path.isdir(folder)
    if there:
        _intend(root, folder)
        _pin_images(root, owner, folder)
        supervisor.stop(root, owner, key, int(ask.get("grace", 10_000)))
        _lay_down(root, owner, key, folder)
    prune(root, owner, name_of(key), int(ask.get("keep", 5)))
    return {"there": there}


def _intend(root: Writable, folder: str) -> None:
    """Make the intent durable. Its being there says all, so on a full disk a link to the record does: retiring is what
    makes room."""
    if os.path.exists(folder + "/intent"):
        return
    try:
        root.write_atomic(folder + "/intent", b"stop\n")
    except frames.Problem as problem:
        if problem.kind != "no-room" or not os.path.exists(folder + "/record.json"):
            raise
        root.link(folder + "/record.json", folder + "/intent")
        layout.sync_folder(folder)


def _pin_images(root: Writable, owner: str, folder: str) -> None:
    """Keep its images until an apply has ended complete: it may have to be launched anew."""
    try:
        record = guarded_read.read_json(folder + "/record.json") or {}
        for sha in record["run"].get("images", ()):
            if os.path.exists(f"{root.images}/{layout.digest(sha)}"):
                image_store.pin(root, owner, sha)
    except (frames.Problem, KeyError, TypeError, AttributeError, OSError):
        # Of a damaged record nobody knows its images, and on a full disk a pin is not worth a failed retirement.
        return


def _lay_down(root: Writable, owner: str, key: str, folder: str) -> None:
    """Its end on paper, its secrets and sockets gone, its record in ``retired``."""
    end = run_log.end_of(run_log.last(folder)) or dict(run_log.UNWATCHED, console=console_log.tail(folder))
    try:
        root.write_atomic(folder + "/end.json", frames.encode(end))
    except frames.Problem as problem:
        # Without room its end stays in ends.jsonl only.
        if problem.kind != "no-room":
            raise
    root.remove_file(folder + "/boot.cfg")
    root.remove_tree(root.run(layout.token(owner, key)))
    layout.folders(root.retired(owner))
    launch = _launch_of(folder)
    root.rename(folder, f"{root.retired(owner)}/{key}.{launch}.{int(time.time() * 1000)}")
    layout.sync_folder(root.retired(owner))
    layout.sync_folder(root.instances(owner))


def _launch_of(folder: str) -> int:
    try:
        return int((guarded_read.read_json(folder + "/record.json") or {}).get("launch", 0))
    except (frames.Problem, ValueError, TypeError, AttributeError):
        return 0


def prune(root: Writable, owner: str, name: str, keep: int) -> int:
    """Forget all but the last ``keep`` of a name; never the last one, it holds the launch number."""
    mine = [row for row in listed(root, owner) if row[0] == name]
    surplus = mine[: max(0, len(mine) - max(1, keep))]
    for _, _, _, folder in surplus:
        root.remove_aside(folder)
    return len(surplus)
