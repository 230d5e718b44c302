"""The ledger of a fleet on this host and what was last applied: append-only, bounded, in the order of lease
tokens.

``gates.json`` beside it holds the results of health gates; a survey reports all of it, however long the ledger is.
"""

from __future__ import annotations

import time

from ..lease import fleet_lease
from ..protocol import frames
from ..storage import apply_records, fleet_names, guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import Writable

BOUND = 16 << 20
GATES = 256


def ledger(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Append one entry, or read the last n."""
    if "append" in ask:
        held = fleet_lease.require(ask, call)
        _append(held.root, ask["owner"], held.token, ask["append"], int(ask.get("bound") or BOUND))
        _judged(held.root, ask["owner"], ask["append"])
        return {"token": held.token}
    return {"entries": entries(root, ask["owner"])[-int(ask.get("read") or 0) or None :]}


def remember(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """What was applied: policy and hosts, for the next plan to compare with; ``fleet``: what it is called now."""
    held = fleet_lease.require(ask, call)
    for name in ("policy", "hosts"):
        path = f"{root.fleet(ask['owner'])}/{name}.json"
        if name in ask and guarded_read.noted(None, guarded_read.read_json, path) != ask[name]:
            held.root.write_atomic(path, frames.encode(ask[name]))
    if "fleet" in ask:
        fleet_names.rename(held.root, ask["owner"], ask["fleet"])
    return {}


def entries(root: layout.Root, owner: str) -> list[dict[str, Any]]:
    """All readable entries, oldest first; a torn line is ignored."""
    return apply_records.readable(guarded_read.read_bytes(root.fleet(owner) + "/ledger.jsonl") or b"")


def _append(root: Writable, owner: str, token: int, told: dict[str, Any], bound: int) -> None:
    path = root.fleet(owner) + "/ledger.jsonl"
    entry = dict(told, format=layout.FORMAT, token=token, at=told.get("at", time.time()))
    try:
        size = root.append(path, frames.encode(entry))
    except OSError as error:
        raise layout.problem(error, path) from error
    if size > bound:
        _cut(root, owner, path, bound)


def _judged(root: Writable, owner: str, told: dict[str, Any]) -> None:
    """What the gates of this apply said; of more than so many the oldest are forgotten."""
    rows = [
        {"service": service, "fingerprint": each, "at": told.get("at", time.time()), "healthy": healthy}
        for field, healthy in (("unhealthy", False), ("proved", True))
        for service, fingerprints in (told.get(field) or {}).items()
        for each in fingerprints
    ]
    if rows:
        new = {(row["service"], row["fingerprint"]) for row in rows}
        kept = [row for row in apply_records.gates(root, owner) if (row["service"], row["fingerprint"]) not in new]
        root.write_atomic(f"{root.fleet(owner)}/gates.json", frames.encode((kept + rows)[-GATES:]))


def _cut(root: Writable, owner: str, path: str, bound: int) -> None:
    """Keep the newer half."""
    kept: list[bytes] = []
    room = bound // 2
    for entry in reversed(entries(root, owner)):
        line = frames.encode(entry) + b"\n"
        room -= len(line)
        if room < 0 and kept:
            break
        kept.append(line)
    root.write_atomic(path, b"".join(reversed(kept)))
