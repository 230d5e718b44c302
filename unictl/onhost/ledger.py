"""The ledger of a fleet on this host, and what was last applied: append-only, bounded, in the order of lease tokens.

Beside it lies what the gates said (``gates.json``): a survey tells it whole, however long the ledger is.
"""

from __future__ import annotations

import time

from . import applies, lease, names, reading, records, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .door import Writable

BOUND = 16 << 20
GATES = 256


def ledger(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Append one entry, or read the last n."""
    if "append" in ask:
        held = lease.require(ask, call)
        _append(held.root, ask["owner"], held.token, ask["append"], int(ask.get("bound") or BOUND))
        _judged(held.root, ask["owner"], ask["append"])
        return {"token": held.token}
    return {"entries": entries(root, ask["owner"])[-int(ask.get("read") or 0) or None :]}


def remember(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """What was applied: policy and hosts, for the next plan to compare with; ``fleet``: what it is called now."""
    held = lease.require(ask, call)
    for name in ("policy", "hosts"):
        path = f"{root.fleet(ask['owner'])}/{name}.json"
        if name in ask and reading.noted(None, reading.read_json, path) != ask[name]:
            held.root.write_atomic(path, wire.encode(ask[name]))
    if "fleet" in ask:
        names.rename(held.root, ask["owner"], ask["fleet"])
    return {}


def entries(root: records.Root, owner: str) -> list[dict[str, Any]]:
    """All readable entries, oldest first; a torn line is ignored."""
    return applies.readable(reading.read_bytes(root.fleet(owner) + "/ledger.jsonl") or b"")


def _append(root: Writable, owner: str, token: int, told: dict[str, Any], bound: int) -> None:
    path = root.fleet(owner) + "/ledger.jsonl"
    entry = dict(told, format=records.FORMAT, token=token, at=told.get("at", time.time()))
    try:
        size = root.append(path, wire.encode(entry))
    except OSError as error:
        raise records.problem(error, path) from error
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
        kept = [row for row in applies.gates(root, owner) if (row["service"], row["fingerprint"]) not in new]
        root.write_atomic(f"{root.fleet(owner)}/gates.json", wire.encode((kept + rows)[-GATES:]))


def _cut(root: Writable, owner: str, path: str, bound: int) -> None:
    """Keep the newer half."""
    kept: list[bytes] = []
    room = bound // 2
    for entry in reversed(entries(root, owner)):
        line = wire.encode(entry) + b"\n"
        room -= len(line)
        if room < 0 and kept:
            break
        kept.append(line)
    root.write_atomic(path, b"".join(reversed(kept)))
