"""What instances claim on the host: ports, memory and volumes. The records themselves are the claims.

A claim is taken by renaming a record in and released by renaming it out, both under the host lock or after the
process is gone. Listening ports of other programs come from the kernel (see ``sockets``).
"""

from __future__ import annotations

import os

from ..platform import sockets
from ..storage import fleet_names, guarded_read, layout
from . import record_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypedDict, TypeGuard

    class Claim(TypedDict, total=False):
        """A port or an amount of memory that is in use."""

        kind: str
        # Fleet and holder; empty for a program that is not unictl's.
        owner: str
        holder: str
        bind: str
        port: int
        amount: int


WILDCARDS = ("0.0.0.0", "::", "")


def all_records(
    root: layout.StoreLayout, notes: guarded_read.Notes | None = None
) -> list[tuple[str, str, dict[str, Any]]]:
    """(owner, key, record) of every readable record on the host; a damaged one is in nobody else's way."""
    return [entry for owner in root.owners() for entry in fleet_records(root, owner, notes)]


def fleet_records(
    root: layout.StoreLayout, owner: str, notes: guarded_read.Notes | None = None
) -> list[tuple[str, str, dict[str, Any]]]:
    """The same of one fleet."""
    entries = []
    for key in guarded_read.read_or_note(notes, root.keys, owner) or ():
        record = guarded_read.read_or_note(notes, _read_claim, root, owner, key)
        if record is not None:
            entries.append((owner, key, record))
    return entries


def _read_claim(root: layout.StoreLayout, owner: str, key: str) -> dict[str, Any] | None:
    path = f"{root.instance(owner, key)}/record.json"
    record = guarded_read.read_object(path)
    if record is None and not os.path.isdir(root.instance(owner, key)):
        # Retired since it was listed.
        return None
    if not is_well_formed((record or {}).get("run")):
        raise guarded_read.malformed(path, f"the record of {key}")
    return record


def is_well_formed(run: Any) -> TypeGuard[dict[str, Any]]:
    """Whether what is asked of a record by everybody can be read in it: numbers are numbers, names are names."""
    return (
        isinstance(run, dict)
        and all(guarded_read.is_uint(run.get(field, 0)) for field in ("memory", "overhead", "cpus"))
        and all(guarded_read.is_str_list(run.get(field, [])) for field in ("images", "volumes"))
        and isinstance(run.get("forwards", []), list)
        and all(map(_is_forward, run.get("forwards", [])))
    )


_UNKNOWN_RUN: dict[str, list[str]] = {"argv": [], "exits": []}


def run_spec(directory: str) -> dict[str, Any]:
    """What the record in a folder says is run; of one that cannot be read, that nothing is known."""
    run = (guarded_read.read_or_note(None, record_file.read_record, directory) or {}).get("run")
    if not is_well_formed(run) or not guarded_read.is_str_list(run.get("argv")):
        return _UNKNOWN_RUN
    exit_rules = run.get("exits")
    if not isinstance(exit_rules, list) or not all(isinstance(rule, dict) for rule in exit_rules):
        return _UNKNOWN_RUN
    return run


def _is_forward(forward: Any) -> bool:
    return (
        isinstance(forward, dict)
        and guarded_read.is_uint(forward.get("host"), 65535)
        and isinstance(forward.get("bind", ""), str)
    )


def foreign_claims(
    root: layout.StoreLayout,
    owner: str,
    own_ports: set[int],
    ingress_claims: Callable[[layout.StoreLayout, str], list[Claim]],
    notes: guarded_read.Notes,
) -> list[Claim]:
    """What everybody but this fleet holds: records of other fleets, and listening ports of other programs.

    ``own_ports`` are ports of this fleet (forwards, ingress): their listeners are not foreign. ``ingress_claims`` tells
    the rows of another fleet's ingress. What of theirs is damaged is noted.
    """
    claim_list: list[Claim] = []
    known_ports = set(own_ports)
    for other_owner in root.owners():
        if other_owner == owner:
            continue
        for _, key, record in fleet_records(root, other_owner, notes):
            claim_list += _instance_claims(fleet_names.current_name(root, other_owner), key, record["run"])
            known_ports.update(int(forward["host"]) for forward in record["run"].get("forwards", ()))
        if os.path.isdir(root.fleet(other_owner) + "/ingress"):
            claim_list += guarded_read.read_or_note(notes, ingress_claims, root, other_owner) or []
    known_ports.update(int(claim["port"]) for claim in claim_list if claim["kind"] == "port")
    foreign = sorted(socket for socket in sockets.listening_sockets() if socket[1] not in known_ports)
    return claim_list + [
        {"kind": "port", "owner": "", "holder": "", "bind": bind, "port": port} for bind, port in foreign
    ]


def _instance_claims(owner: str, key: str, run: dict[str, Any]) -> list[Claim]:
    port_claims: list[Claim] = [
        {"kind": "port", "owner": owner, "holder": key, "port": int(forward["host"]), "bind": forward.get("bind", "")}
        for forward in run.get("forwards", ())
    ]
    return [*port_claims, {"kind": "memory", "owner": owner, "holder": key, "amount": memory_claim(run)}]


def memory_claim(run: dict[str, Any]) -> int:
    """Bytes of memory an instance takes of its host."""
    return int(run.get("memory", 0)) + int(run.get("overhead", 0))


def host_memory() -> tuple[int, int]:
    """Total and available bytes of memory."""
    amounts = {}
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("MemTotal", "MemAvailable"):
                amounts[name] = int(value.split()[0]) << 10
    return amounts["MemTotal"], amounts.get("MemAvailable", 0)
