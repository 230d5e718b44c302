"""Retire: the intent is durable first, then the process ends, then the record moves. And what is kept for looking back.

A retired folder is ``<name>.<gen>.<launch number>.<ms>``: the highest launch number of a name is read from names alone.
"""

from __future__ import annotations

import os
import time

from . import facts, lease, records, ring, supervise, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def retire(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Stop one instance and move its record away; what is gone already is fine."""
    lease.require(ask, call)
    owner, key = ask["owner"], records.part(ask["key"])
    folder = root.instance(owner, key)
    there = os.path.isdir(folder)
    if there:
        if not os.path.exists(folder + "/intent"):
            records.write_atomic(folder + "/intent", b"stop\n")
        supervise.stop(root, owner, key, int(ask.get("grace", 10_000)))
        _lay_down(root, owner, key, folder)
    prune(root, owner, name_of(key), int(ask.get("keep", 5)))
    return {"there": there}


def _lay_down(root: records.Root, owner: str, key: str, folder: str) -> None:
    """Its end on paper, its secrets and sockets gone, its record in ``retired``."""
    end = facts.end_of(facts.last(folder)) or dict(facts.UNWATCHED, console=ring.tail(folder))
    records.write_atomic(folder + "/end.json", wire.encode(end))
    records.remove_file(folder + "/boot.cfg")
    records.remove_tree(root.run(records.token(owner, key)))
    records.folders(root.retired(owner))
    launch = _launch_of(folder)
    os.rename(folder, f"{root.retired(owner)}/{key}.{launch}.{int(time.time() * 1000)}")
    records.sync_folder(root.retired(owner))
    records.sync_folder(root.instances(owner))


def _launch_of(folder: str) -> int:
    try:
        return int((records.read_json(folder + "/record.json") or {}).get("launch", 0))
    except (wire.Problem, ValueError, TypeError, AttributeError):
        return 0


def name_of(key: str) -> str:
    """``api-2`` of ``api-2.7f3c9a1b``."""
    return key.partition(".")[0]


def listed(root: records.Root, owner: str) -> list[tuple[str, int, int, str]]:
    """(name, launch number, ms, folder) of everything retired, by name, the newest last."""
    rows = []
    for entry in records.names(root.retired(owner)):
        parts = entry.split(".")
        if len(parts) == 4 and parts[2].isdigit() and parts[3].isdigit():
            rows.append((parts[0], int(parts[2]), int(parts[3]), f"{root.retired(owner)}/{entry}"))
    return sorted(rows)


def launches(root: records.Root, owner: str) -> dict[str, int]:
    """The highest launch number of every name in retired records."""
    return {name: launch for name, launch, _, _ in listed(root, owner)}


def prune(root: records.Root, owner: str, name: str, keep: int) -> int:
    """Forget all but the last ``keep`` of a name; never the last one, it holds the launch number."""
    mine = [row for row in listed(root, owner) if row[0] == name]
    surplus = mine[: max(0, len(mine) - max(1, keep))]
    for _, _, _, folder in surplus:
        records.remove_aside(folder)
    return len(surplus)
