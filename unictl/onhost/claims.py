"""Who holds which port, how much memory, which volume. The records themselves are the claims: there is no second truth.

A claim is taken by renaming a record in and freed by renaming it out, both under the host-wide short lock or after the
process is gone; other programs' listening ports are read from /proc/net.
"""

from __future__ import annotations

import os

from . import listening, names, records, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

WILDCARDS = ("0.0.0.0", "::", "")


def all_records(root: records.Root) -> list[tuple[str, str, dict[str, Any]]]:
    """(owner, key, record) of every readable record on the host; a damaged one is in nobody else's way."""
    found = []
    for owner in root.owners():
        for key in records.names(root.instances(owner)):
            try:
                record = records.read_json(f"{root.instance(owner, key)}/record.json")
            except (wire.Problem, OSError):
                continue
            if isinstance(record, dict) and _sound(record.get("run")):
                found.append((owner, key, record))
    return found


def _sound(run: Any) -> bool:
    """Whether what is asked of a record by everybody can be read in it: numbers are numbers, names are names."""
    try:
        amount(run)
        ports = [(int(forward["host"]), forward.get("bind", "")) for forward in run.get("forwards", ())]
        names = [*run.get("images", ()), *run.get("volumes", ())]
        return all(isinstance(text, str) for text in [*names, *(bind for _, bind in ports)])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return False


def of_others(
    root: records.Root, owner: str, own: set[int], ingress_of: Callable[[records.Root, str], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What everybody but this fleet holds: records of other fleets, and listening ports of other programs.

    ``own`` are ports of this fleet (forwards, ingress): their listeners are not foreign. ``ingress_of`` tells the
    rows of another fleet's ingress.
    """
    rows: list[dict[str, Any]] = []
    known = set(own)
    # A fleet that is new here has no folder yet.
    for other, key, record in all_records(root) if set(root.owners()) - {owner} else []:
        if other != owner:
            rows += _rows(names.called(root, other), key, record["run"])
            known.update(int(forward["host"]) for forward in record["run"].get("forwards", ()))
    for other in root.owners():
        if other != owner and os.path.isdir(root.fleet(other) + "/ingress"):
            rows += ingress_of(root, other)
    known.update(int(row["port"]) for row in rows if row["kind"] == "port")
    foreign = sorted(place for place in listening.listeners() if place[1] not in known)
    return rows + [{"kind": "port", "owner": "", "holder": "", "bind": bind, "port": port} for bind, port in foreign]


def _rows(owner: str, key: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [
        {"kind": "port", "owner": owner, "holder": key, "port": int(f["host"]), "bind": f.get("bind", "")}
        for f in run.get("forwards", ())
    ]
    return [*rows, {"kind": "memory", "owner": owner, "holder": key, "amount": amount(run)}]


def amount(run: dict[str, Any]) -> int:
    """Bytes of memory an instance takes of its host."""
    return int(run.get("memory", 0)) + int(run.get("overhead", 0))


def memory() -> tuple[int, int]:
    """Total and available bytes of memory."""
    told = {}
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in ("MemTotal", "MemAvailable"):
                told[name] = int(rest.split()[0]) << 10
    return told["MemTotal"], told.get("MemAvailable", 0)
