"""What a plan relies on, host by host: recorded when planning, compared when applying. Pure.

Pids, uptime, health and load are left out: they may change without changing the plan.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from unictl.instances.observed.host_state import LiveInstance, Survey
from unictl.plan.model.step import Kind, Step
from unictl.plan.reconcile.classify import state_class


def read(said: Survey, ports: Iterable[int]) -> dict[str, Any]:
    """What the plan has read of one host; ``ports``: those that its steps there want."""
    return {
        "host_id": said.host_id,
        "records": {live.key: _record(live) for live in sorted(said.instances, key=lambda live: live.key)},
        "ports": {str(port): holder(said, port) for port in sorted(set(ports))},
        "ingress": said.ingress.get("hash", "") if said.ingress.get("state") in ("running", "starting") else "",
        "volumes": {volume.name: volume.used_by for volume in sorted(said.volumes, key=lambda volume: volume.name)},
    }


def _record(live: LiveInstance) -> dict[str, Any]:
    return {
        "fingerprint": live.fingerprint,
        "state": state_class(live),
        "proven": live.proven,
        "protect": live.protect,
    }


def holder(said: Survey, port: int) -> str:
    """Who else holds a port of a host; empty where nobody does."""
    held = [claim for claim in said.claims if claim.kind == "port" and claim.port == port]
    return next((f"{c.holder} of fleet {c.owner}" if c.owner else "another program" for c in held), "")


def wanted_ports(steps: Iterable[Step]) -> Mapping[str, tuple[int, ...]]:
    """The ports that steps want, by host: forwards of what is launched, and what ingresses listen on."""
    found: dict[str, set[int]] = {}
    for each in steps:
        if each.kind is Kind.LAUNCH:
            rows = each.data["document"]["run"].get("forwards", ())
            found.setdefault(each.host, set()).update(int(row["host"]) for row in rows)
        elif each.kind is Kind.JOIN:
            listening = (row["port"] for rows in each.data["services"].values() for row in rows)
            found.setdefault(each.host, set()).update(listening)
    return {host: tuple(sorted(ports)) for host, ports in found.items()}
