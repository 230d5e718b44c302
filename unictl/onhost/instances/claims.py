"""What instances claim on the host: ports, memory and volumes. The records themselves are the claims.

A claim is taken by renaming a record in and released by renaming it out, both under the host lock or after the
process is
gone. Listening ports of other programs come from the kernel (see ``sockets``).
"""

from __future__ import annotations

import os

from ..platform import sockets
from ..storage import fleet_names, guarded_read, layout
from . import record_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

WILDCARDS = ("0.0.0.0", "::", "")


def all_records(root: layout.Root, notes: guarded_read.Notes | None = None) -> list[tuple[str, str, dict[str, Any]]]:
    """(owner, key, record) of every readable record on the host; a damaged one is in nobody else's way."""
    return [row for owner in root.owners() for row in records_of(root, owner, notes)]


def records_of(
    root: layout.Root, owner: str, notes: guarded_read.Notes | None = None
) -> list[tuple[str, str, dict[str, Any]]]:
    """The same of one fleet."""
    found = []
    for key in guarded_read.noted(notes, root.keys, owner) or ():
        record = guarded_read.noted(notes, _record, root, owner, key)
        if record is not None:
            found.append((owner, key, record))
    return found


def _record(root: layout.Root, owner: str, key: str) -> dict[str, Any] | None:
    path = f"{root.instance(owner, key)}/record.json"
    record = guarded_read.read_object(path)
    if record is None and not os.path.isdir(root.instance(owner, key)):
        # Retired since it was listed.
        return None
    if not sound((record or {}).get("run")):
        raise guarded_read.odd_content(path, f"the record of {key}")
    return record


def sound(run: Any) -> bool:
    """Whether what is asked of a record by everybody can be read in it: numbers are numbers, names are names."""
    return (
        isinstance(run, dict)
        and all(guarded_read.number(run.get(name, 0)) for name in ("memory", "overhead", "cpus"))
        and all(guarded_read.texts(run.get(name, [])) for name in ("images", "volumes"))
        and isinstance(run.get("forwards", []), list)
        and all(map(_forward, run.get("forwards", [])))
    )


_NOTHING: dict[str, Any] = {"argv": [], "exits": []}


def run_of(folder: str) -> dict[str, Any]:
    """What the record in a folder says is run; of one that cannot be read, that nothing is known."""
    run: Any = (guarded_read.noted(None, record_file.read, folder) or {}).get("run")
    known = sound(run) and guarded_read.texts(run.get("argv")) and isinstance(run.get("exits"), list)
    found: dict[str, Any] = run if known and all(isinstance(each, dict) for each in run["exits"]) else _NOTHING
    return found


def _forward(row: Any) -> bool:
    return (
        isinstance(row, dict) and guarded_read.number(row.get("host"), 65535) and isinstance(row.get("bind", ""), str)
    )


def of_others(
    root: layout.Root,
    owner: str,
    own: set[int],
    ingress_of: Callable[[layout.Root, str], list[dict[str, Any]]],
    notes: guarded_read.Notes,
) -> list[dict[str, Any]]:
    """What everybody but this fleet holds: records of other fleets, and listening ports of other programs.

    ``own`` are ports of this fleet (forwards, ingress): their listeners are not foreign. ``ingress_of`` tells the
    rows of another fleet's ingress. What of theirs is damaged is noted.
    """
    rows: list[dict[str, Any]] = []
    known = set(own)
    for other in root.owners():
        if other == owner:
            continue
        for _, key, record in records_of(root, other, notes):
            rows += _rows(fleet_names.called(root, other), key, record["run"])
            known.update(int(forward["host"]) for forward in record["run"].get("forwards", ()))
        if os.path.isdir(root.fleet(other) + "/ingress"):
            rows += guarded_read.noted(notes, ingress_of, root, other) or []
    known.update(int(row["port"]) for row in rows if row["kind"] == "port")
    foreign = sorted(place for place in sockets.listeners() if place[1] not in known)
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
