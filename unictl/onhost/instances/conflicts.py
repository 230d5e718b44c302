"""Checks whether a launch conflicts with existing claims. Called under the host lock, right before the rename."""

from __future__ import annotations

from ..protocol import frames
from ..storage import layout
from . import claims

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check(
    root: layout.Root,
    owner: str,
    key: str,
    run: dict[str, Any],
    others: list[Any],
    ingresses: dict[str, list[tuple[str, int]]],
    open_ports: Any,
) -> None:
    """A ``taken`` Problem where the launch wants what somebody else holds. ``others`` as of ``all_records``;
    ``ingresses``: what those of other fleets are to listen on (owner -> address and port), whether they run or not."""
    rest = [row for row in others if (row[0], row[1]) != (owner, key)]
    _check_volumes(owner, run, rest)
    _check_ingresses(key, run, ingresses)
    _check_ports(owner, key, run, rest, open_ports)
    _check_memory(root, key, run, rest)


def _check_volumes(owner: str, run: dict[str, Any], rest: list[Any]) -> None:
    for other, key, record in rest:
        for name in set(run.get("volumes", ())) & set(record["run"].get("volumes", ())) if other == owner else ():
            raise frames.Problem(
                "taken", f"volume {name} is held by {key}", f"a volume has one user: retire {key} first", path=name
            )


def _check_ports(owner: str, key: str, run: dict[str, Any], rest: list[Any], open_ports: Any) -> None:
    held = [(other, k, f) for other, k, record in rest for f in record["run"].get("forwards", ())]
    for wanted in run.get("forwards", ()):
        for other, holder, forward in held:
            if _clash(wanted, forward):
                whose = "this fleet" if other == owner else f"fleet {other}"
                raise _taken_port(key, wanted, f"{holder} of {whose}")
        port = int(wanted["host"])
        bind = wanted.get("bind", "")
        # That of a record that is in the way was told above.
        if not wanted.get("udp") and any(p == port and _overlap(bind, b) for b, p in open_ports):
            raise _taken_port(key, wanted, "another program of this host")


def _check_ingresses(key: str, run: dict[str, Any], ingresses: dict[str, list[tuple[str, int]]]) -> None:
    for wanted in run.get("forwards", ()):
        for other, places in ingresses.items():
            for bind, port in () if wanted.get("udp") else places:
                if port == int(wanted["host"]) and _overlap(bind, wanted.get("bind", "")):
                    raise _taken_port(key, wanted, f"the ingress of fleet {other}")


def _taken_port(key: str, forward: dict[str, Any], holder: str) -> frames.Problem:
    where = f"{forward.get('bind') or '*'}:{forward['host']}"
    return frames.Problem(
        "taken", f"{key} needs port {where}, which is held by {holder}", "plan again: it picks free ports"
    )


def _clash(one: dict[str, Any], two: dict[str, Any]) -> bool:
    same = int(one["host"]) == int(two["host"]) and bool(one.get("udp")) == bool(two.get("udp"))
    return same and _overlap(one.get("bind", ""), two.get("bind", ""))


def _overlap(one: str, two: str) -> bool:
    return one == two or one in claims.WILDCARDS or two in claims.WILDCARDS


def _check_memory(root: layout.Root, key: str, run: dict[str, Any], rest: list[Any]) -> None:
    held = sum(claims.amount(record["run"]) for _, _, record in rest)
    has = claims.memory()[0]
    if held + claims.amount(run) > has:
        who = "1 instance holds" if len(rest) == 1 else f"{len(rest)} instances hold"
        raise frames.Problem(
            "taken",
            f"{key} needs {claims.amount(run) >> 20} MiB; {who} {held >> 20} of {has >> 20} MiB",
            "retire something, or place it on another host",
            path=root.path,
        )
