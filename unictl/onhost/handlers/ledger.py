"""The ledger of a fleet on this host and what was last applied: append-only, bounded, in the order of lease tokens.

``gates.json`` beside it holds the results of health gates; a survey reports all of it, however long the ledger is.
"""

from __future__ import annotations

import time

from ..protocol import frames
from ..storage import apply_records, atomic, fleet_names, guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext
    from ..storage.fenced_store import FencedStore

SIZE_LIMIT = 16 << 20
MAX_GATES = 256


def append(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """Append one entry; the token of the lease it was written under."""
    owner, token, entry = request["owner"], context.lease.token, request["entry"]
    _append_entry(root, owner, token, entry, int(request.get("bound") or SIZE_LIMIT))
    _record_gates(root, owner, entry)
    return {"token": token}


def read(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """The last ``limit`` entries, oldest first; 0: all."""
    return {"entries": read_entries(root, request["owner"])[-int(request.get("limit") or 0) or None :]}


def record_applied(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """What was applied: policy and hosts, for the next plan to compare with; ``fleet``: what it is called now."""
    for name in ("policy", "hosts"):
        path = f"{root.fleet(request['owner'])}/{name}.json"
        if name in request and guarded_read.read_or_note(None, guarded_read.read_json, path) != request[name]:
            root.write_atomic(path, frames.encode_json(request[name]))
    if "fleet" in request:
        fleet_names.rename(root, request["owner"], request["fleet"])
    return {}


def read_entries(root: layout.StoreLayout, owner: str) -> list[dict[str, Any]]:
    """All readable entries, oldest first; a torn line is ignored."""
    return apply_records.parse_ledger(guarded_read.read_bytes(root.fleet(owner) + "/ledger.jsonl") or b"")


def _append_entry(root: FencedStore, owner: str, token: int, content: dict[str, Any], size_limit: int) -> None:
    path = root.fleet(owner) + "/ledger.jsonl"
    entry = dict(content, format=layout.FORMAT, token=token, at=content.get("at", time.time()))
    try:
        size = root.append(path, frames.encode_json(entry))
    except OSError as error:
        raise atomic.from_os_error(error, path) from error
    if size > size_limit:
        _shrink(root, owner, path, size_limit)


def _record_gates(root: FencedStore, owner: str, entry: dict[str, Any]) -> None:
    """What the gates of this apply said; of more than so many the oldest are forgotten."""
    new_gates = [
        {"service": service, "fingerprint": fingerprint, "at": entry.get("at", time.time()), "healthy": healthy}
        for field, healthy in (("unhealthy", False), ("proved", True))
        for service, fingerprints in (entry.get(field) or {}).items()
        for fingerprint in fingerprints
    ]
    if new_gates:
        new_keys = {(gate["service"], gate["fingerprint"]) for gate in new_gates}
        retained_gates = [
            gate
            for gate in apply_records.gate_results(root, owner)
            if (gate["service"], gate["fingerprint"]) not in new_keys
        ]
        root.write_atomic(
            f"{root.fleet(owner)}/gates.json", frames.encode_json((retained_gates + new_gates)[-MAX_GATES:])
        )


def _shrink(root: FencedStore, owner: str, path: str, size_limit: int) -> None:
    """Keep the newer half."""
    lines: list[bytes] = []
    room = size_limit // 2
    for entry in reversed(read_entries(root, owner)):
        line = frames.encode_json(entry) + b"\n"
        room -= len(line)
        if room < 0 and lines:
            break
        lines.append(line)
    root.write_atomic(path, b"".join(reversed(lines)))
