"""The state of a fleet's ingress as a survey reports it: process state, server health, and the ports it claims.
Reads only.
"""

from __future__ import annotations

import time

from ..instances import instance_state, run_log
from ..storage import fleet_names, layout, locks
from ..systemd import units
from . import haproxy, ingress_ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from ..instances.claims import Claim
    from .haproxy import IngressPaths

    class IngressStatus(TypedDict, total=False):
        """The ingress of a fleet, as a survey reports it."""

        state: str
        hash: str
        since: float
        # Instance key -> UP or DOWN.
        servers: dict[str, str]
        # How often it ended by itself, and when last.
        ends: int
        ended: float
        # Of one that does not run.
        restarting: bool
        why: str


def current_status(root: layout.StoreLayout, owner: str) -> IngressStatus:
    """What runs now: state, hash, since when, each server's health as HAProxy sees it, how often it ended by itself and
    when it last did so (0 where nobody saw it); of one that does not run, whether the supervisor starts it again,
    and why its last try failed."""
    paths = haproxy.IngressPaths(root, owner)
    reply = haproxy.query_current(paths, "show stat -1 4 -1")
    log_entries = run_log.read_entries(paths.directory)
    ends = [entry for entry in log_entries if entry.get("event") == "ended"]
    end_facts: IngressStatus = {
        "ends": len(ends),
        "ended": float(ends[-1]["at"]) if ends and ends[-1].get("seen") else 0.0,
    }
    if reply is None:
        summary: IngressStatus = {"state": _silent_state(paths), "hash": "", "since": 0.0, "servers": {}}
        if summary["state"] == "starting":
            summary["hash"] = haproxy.expected_digest(paths)
        if summary["state"] != "absent":
            reason = log_entries[-1].get("why", "") if log_entries else ""
            is_unjudged = not log_entries or log_entries[-1].get("event") == "started"
            summary.update(end_facts)
            if is_unjudged:
                summary["ended"] = 0.0
            summary["restarting"] = instance_state.supervisor_alive(root, owner)
            summary["why"] = reason
        return summary
    info, statistics = reply[0], reply[1].partition("\n# pxname,")[2]
    since = info.get("Start_time_sec") or time.time() - float(info.get("Uptime_sec") or 0)
    return {
        "state": "running",
        "hash": haproxy.digest_of(info),
        "since": float(since),
        "servers": _server_health(statistics),
        **end_facts,
    }


def configured_ports(root: layout.StoreLayout, owner: str) -> list[tuple[str, int]]:
    """(address, port) of everything the ingress of this fleet is to listen on; the address is empty for all."""
    return ingress_ports.from_config(haproxy.IngressPaths(root, owner).read_config())


def port_claims(root: layout.StoreLayout, owner: str) -> list[Claim]:
    """The same as rows of a survey's ``port_claims``, for the fleets this one is foreign to."""
    return [
        {
            "kind": "port",
            "owner": fleet_names.current_name(root, owner),
            "holder": "ingress",
            "bind": bind,
            "port": port,
        }
        for bind, port in configured_ports(root, owner)
    ]


NO_HAPROXY = {
    "code": "no-haproxy",
    "text": "HAProxy is not installed on this host, so it cannot run an ingress (endpoints and published ports)",
    "hint": "install haproxy on the host, or set `ingress: false` for it in the fleet file",
}


def missing_capabilities() -> list[dict[str, str]]:
    """The sentence of a survey where this host can run no ingress."""
    return [] if haproxy.program() else [dict(NO_HAPROXY)]


def _silent_state(paths: IngressPaths) -> str:
    """The state of an ingress that does not answer."""
    text = paths.read_config()
    if not text:
        return "absent"
    if units.is_enabled(paths.unit) and units.is_activating(paths.unit):
        return "starting"
    if locks.is_locked(paths.alive):
        return "dead"
    is_taken = any(ingress_ports.listening_inodes(port) for _, port in ingress_ports.from_config(text))
    return "foreign" if is_taken else "dead"


def _server_health(statistics: str) -> dict[str, str]:
    """Instance key -> UP or DOWN. One that stands in several sections is UP where it is in all."""
    lines = statistics.splitlines()
    column = ("pxname," + lines[0]).split(",").index("status") if lines else 0
    health: dict[str, str] = {}
    for line in lines[1:]:
        fields = line.split(",")
        if len(fields) > column:
            is_up = fields[column].startswith("UP") and health.get(fields[1]) != "DOWN"
            health[fields[1]] = "UP" if is_up else "DOWN"
    return health
