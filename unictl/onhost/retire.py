"""Retire: the intent is durable first, then the process ends, then the record moves.

A retired folder bears the launch number in its name (``retired``): nothing has to be opened to know the highest."""

from __future__ import annotations

import os
import time

from . import facts, lease, reading, records, ring, store, supervise, wire
from .retired import launches, listed, name_of

__all__ = ["launches", "listed", "name_of", "prune", "retire"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .door import Writable


def retire(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Stop one instance and move its record away; what is gone already is fine."""
    held = lease.require(ask, call)
    root, owner, key = held.root, ask["owner"], records.part(ask["key"])
    folder = root.instance(owner, key)
    there = os.path.isdir(folder)
    if there:
        _intend(root, folder)
        _pin_images(root, owner, folder)
        supervise.stop(root, owner, key, int(ask.get("grace", 10_000)))
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
    except wire.Problem as problem:
        if problem.kind != "no-room" or not os.path.exists(folder + "/record.json"):
            raise
        root.link(folder + "/record.json", folder + "/intent")
        records.sync_folder(folder)


def _pin_images(root: Writable, owner: str, folder: str) -> None:
    """Keep its images until an apply has ended complete: it may have to be launched anew."""
    try:
        record = reading.read_json(folder + "/record.json") or {}
        for sha in record["run"].get("images", ()):
            if os.path.exists(f"{root.images}/{records.digest(sha)}"):
                store.pin(root, owner, sha)
    except (wire.Problem, KeyError, TypeError, AttributeError, OSError):
        # Of a damaged record nobody knows its images, and on a full disk a pin is not worth a failed retirement.
        return


def _lay_down(root: Writable, owner: str, key: str, folder: str) -> None:
    """Its end on paper, its secrets and sockets gone, its record in ``retired``."""
    end = facts.end_of(facts.last(folder)) or dict(facts.UNWATCHED, console=ring.tail(folder))
    try:
        root.write_atomic(folder + "/end.json", wire.encode(end))
    except wire.Problem as problem:
        # Without room its end stays in ends.jsonl only.
        if problem.kind != "no-room":
            raise
    root.remove_file(folder + "/boot.cfg")
    root.remove_tree(root.run(records.token(owner, key)))
    records.folders(root.retired(owner))
    launch = _launch_of(folder)
    root.rename(folder, f"{root.retired(owner)}/{key}.{launch}.{int(time.time() * 1000)}")
    records.sync_folder(root.retired(owner))
    records.sync_folder(root.instances(owner))


def _launch_of(folder: str) -> int:
    try:
        return int((reading.read_json(folder + "/record.json") or {}).get("launch", 0))
    except (wire.Problem, ValueError, TypeError, AttributeError):
        return 0


def prune(root: Writable, owner: str, name: str, keep: int) -> int:
    """Forget all but the last ``keep`` of a name; never the last one, it holds the launch number."""
    mine = [row for row in listed(root, owner) if row[0] == name]
    surplus = mine[: max(0, len(mine) - max(1, keep))]
    for _, _, _, folder in surplus:
        root.remove_aside(folder)
    return len(surplus)
