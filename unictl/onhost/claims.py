"""Who holds which port, how much memory, which volume. The records themselves are the claims: there is no second truth.

A claim is taken by renaming a record in and freed by renaming it out, both under the host-wide short lock or after the
process is gone; other programs' listening ports are read from /proc/net.
"""

from __future__ import annotations

import os

from . import records, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WILDCARDS = ("0.0.0.0", "::", "")


def all_records(root: records.Root) -> list[tuple[str, str, dict[str, Any]]]:
    """(owner, key, record) of every readable record on the host."""
    found = []
    for owner in root.owners():
        for key in records.names(root.instances(owner)):
            try:
                record = records.read_json(f"{root.instance(owner, key)}/record.json")
            except wire.Problem:
                continue
            if isinstance(record, dict) and isinstance(record.get("run"), dict):
                found.append((owner, key, record))
    return found


def of_others(root: records.Root, owner: str, own: set[int]) -> list[dict[str, Any]]:
    """What everybody but this fleet holds: records of other fleets, and listening ports of other programs.

    ``own`` are ports of this fleet (forwards, ingress): their listeners are not foreign.
    """
    rows: list[dict[str, Any]] = []
    known = set(own)
    for other, key, record in all_records(root) if len(root.owners()) > 1 else []:
        if other != owner:
            rows += _rows(other, key, record["run"])
            known.update(int(forward["host"]) for forward in record["run"].get("forwards", ()))
    for other in root.owners():
        if other != owner and os.path.isdir(root.fleet(other) + "/ingress"):
            from . import ingress

            rows += ingress.claims(root, other)
    known.update(int(row["port"]) for row in rows if row["kind"] == "port")
    foreign = sorted(listeners() - {(bind, port) for bind, port in listeners() if port in known})
    return rows + [{"kind": "port", "owner": "", "holder": "", "bind": bind, "port": port} for bind, port in foreign]


def _rows(owner: str, key: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [
        {"kind": "port", "owner": owner, "holder": key, "port": int(f["host"]), "bind": f.get("bind", "")}
        for f in run.get("forwards", ())
    ]
    amount = int(run.get("memory", 0)) + int(run.get("overhead", 0))
    return [*rows, {"kind": "memory", "owner": owner, "holder": key, "amount": amount}]


def check(root: records.Root, owner: str, key: str, run: dict[str, Any], others: list[Any], open_ports: Any) -> None:
    """A ``taken`` Problem where the launch wants what somebody else holds. ``others`` as of ``all_records``."""
    rest = [row for row in others if (row[0], row[1]) != (owner, key)]
    _check_volumes(owner, run, rest)
    _check_ports(owner, key, run, rest, open_ports)
    _check_memory(root, key, run, rest)


def _check_volumes(owner: str, run: dict[str, Any], rest: list[Any]) -> None:
    for other, key, record in rest:
        for name in set(run.get("volumes", ())) & set(record["run"].get("volumes", ())) if other == owner else ():
            raise wire.Problem(
                "taken", f"volume {name} is held by {key}", f"a volume has one user: retire {key} first", path=name
            )


def _check_ports(owner: str, key: str, run: dict[str, Any], rest: list[Any], open_ports: Any) -> None:
    held = [(other, k, f) for other, k, record in rest for f in record["run"].get("forwards", ())]
    recorded = {int(f["host"]) for _, _, f in held}
    for wanted in run.get("forwards", ()):
        for other, holder, forward in held:
            if _clash(wanted, forward):
                whose = "this fleet" if other == owner else f"fleet {other}"
                raise _taken_port(key, wanted, f"{holder} of {whose}")
        port = int(wanted["host"])
        bind = wanted.get("bind", "")
        listening = any(p == port and _overlap(bind, b) for b, p in open_ports) and not wanted.get("udp")
        if port not in recorded and listening:
            raise _taken_port(key, wanted, "another program of this host")


def _taken_port(key: str, forward: dict[str, Any], holder: str) -> wire.Problem:
    where = f"{forward.get('bind') or '*'}:{forward['host']}"
    return wire.Problem(
        "taken", f"{key} needs port {where}, which is held by {holder}", "plan again: it picks free ports"
    )


def _clash(one: dict[str, Any], two: dict[str, Any]) -> bool:
    same = int(one["host"]) == int(two["host"]) and bool(one.get("udp")) == bool(two.get("udp"))
    return same and _overlap(one.get("bind", ""), two.get("bind", ""))


def _overlap(one: str, two: str) -> bool:
    return one == two or one in WILDCARDS or two in WILDCARDS


def _check_memory(root: records.Root, key: str, run: dict[str, Any], rest: list[Any]) -> None:
    held = sum(_amount(record["run"]) for _, _, record in rest)
    has = memory()[0]
    if held + _amount(run) > has:
        raise wire.Problem(
            "taken",
            f"{key} needs {_amount(run) >> 20} MiB; {len(rest)} instances hold {held >> 20} of {has >> 20} MiB",
            "retire something, or place it on another host",
            path=root.path,
        )


def _amount(run: dict[str, Any]) -> int:
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


def listeners() -> set[tuple[str, int]]:
    """(address, port) of every listening TCP socket of the host."""
    found: set[tuple[str, int]] = set()
    for path, size in (("/proc/net/tcp", 8), ("/proc/net/tcp6", 32)):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                next(file, None)
                found.update(_listener(line, size) for line in file if line.split(None, 4)[3] == "0A")
    return found


def _listener(line: str, size: int) -> tuple[str, int]:
    address, _, port = line.split(None, 2)[1].partition(":")
    return _address(address, size), int(port, 16)


def _address(text: str, size: int) -> str:
    """The kernel writes 32-bit words in host order."""
    import socket

    words = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, size, 8))
    return socket.inet_ntop(socket.AF_INET if size == 8 else socket.AF_INET6, words)
