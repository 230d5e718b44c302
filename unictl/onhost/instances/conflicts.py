"""Checks whether a launch conflicts with existing claims. Called under the host lock, right before the rename."""

from __future__ import annotations

from .. import errors
from ..storage import layout
from . import claims

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check_conflicts(
    root: layout.StoreLayout,
    owner: str,
    key: str,
    run: dict[str, Any],
    entries: list[Any],
    ingresses: dict[str, list[tuple[str, int]]],
    open_ports: Any,
) -> None:
    """A ``taken`` Problem where the launch wants what somebody else holds. ``entries`` as of ``all_records``;
    ``ingresses``: what those of other fleets are to listen on (owner -> address and port), whether they run or not."""
    foreign = [entry for entry in entries if (entry[0], entry[1]) != (owner, key)]
    _check_volumes(owner, run, foreign)
    _check_ingresses(key, run, ingresses)
    _check_ports(owner, key, run, foreign, open_ports)
    _check_memory(root, key, run, foreign)


def _check_volumes(owner: str, run: dict[str, Any], foreign: list[Any]) -> None:
    for other_owner, key, record in foreign:
        for name in set(run.get("volumes", ())) & set(record["run"].get("volumes", ())) if other_owner == owner else ():
            raise errors.HostError(
                "taken", f"volume {name} is held by {key}", f"a volume has one user: retire {key} first", path=name
            )


def _check_ports(owner: str, key: str, run: dict[str, Any], foreign: list[Any], open_ports: Any) -> None:
    claimed = [
        (other_owner, other_key, claimed_forward)
        for other_owner, other_key, record in foreign
        for claimed_forward in record["run"].get("forwards", ())
    ]
    for forward in run.get("forwards", ()):
        for other_owner, holder, held_forward in claimed:
            if _forwards_clash(forward, held_forward):
                fleet_phrase = "this fleet" if other_owner == owner else f"fleet {other_owner}"
                raise _port_taken_error(key, forward, f"{holder} of {fleet_phrase}")
        port = int(forward["host"])
        bind = forward.get("bind", "")
        # That of a record that is in the way was told above.
        if not forward.get("udp") and any(
            open_port == port and _addresses_overlap(bind, open_bind) for open_bind, open_port in open_ports
        ):
            raise _port_taken_error(key, forward, "another program of this host")


def _check_ingresses(key: str, run: dict[str, Any], ingresses: dict[str, list[tuple[str, int]]]) -> None:
    for forward in run.get("forwards", ()):
        for other_owner, addresses in ingresses.items():
            for bind, port in () if forward.get("udp") else addresses:
                if port == int(forward["host"]) and _addresses_overlap(bind, forward.get("bind", "")):
                    raise _port_taken_error(key, forward, f"the ingress of fleet {other_owner}")


def _port_taken_error(key: str, forward: dict[str, Any], holder: str) -> errors.HostError:
    socket_text = f"{forward.get('bind') or '*'}:{forward['host']}"
    return errors.HostError(
        "taken", f"{key} needs port {socket_text}, which is held by {holder}", "plan again: it picks free ports"
    )


def _forwards_clash(first: dict[str, Any], second: dict[str, Any]) -> bool:
    same_port = int(first["host"]) == int(second["host"]) and bool(first.get("udp")) == bool(second.get("udp"))
    return same_port and _addresses_overlap(first.get("bind", ""), second.get("bind", ""))


def _addresses_overlap(first: str, second: str) -> bool:
    return first == second or first in claims.WILDCARDS or second in claims.WILDCARDS


def _check_memory(root: layout.StoreLayout, key: str, run: dict[str, Any], foreign: list[Any]) -> None:
    claimed = sum(claims.memory_claim(record["run"]) for _, _, record in foreign)
    total = claims.host_memory()[0]
    if claimed + claims.memory_claim(run) > total:
        holders_phrase = "1 instance holds" if len(foreign) == 1 else f"{len(foreign)} instances hold"
        raise errors.HostError(
            "taken",
            f"{key} needs {claims.memory_claim(run) >> 20} MiB; {holders_phrase} {claimed >> 20} of {total >> 20} MiB",
            "retire something, or place it on another host",
            path=root.path,
        )
