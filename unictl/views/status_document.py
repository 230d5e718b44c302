"""The rows of the `status -json` and `locks -json` documents. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from unictl.fleet.model import Fleet
from unictl.fleet.names import InstanceName
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey, UnreachableHost

if TYPE_CHECKING:
    pass


def unreported_rows(fleet: Fleet, world: LiveState) -> Iterator[dict[str, Any]]:
    """A row for each declared instance that no host shows, while one that may have it does not answer."""
    silent = sorted(name for name, host_survey in world.items() if isinstance(host_survey, UnreachableHost))
    shown = {
        live.name for host_survey in world.values() if isinstance(host_survey, Survey) for live in host_survey.instances
    }
    detail = f"{', '.join(silent)} {'does' if len(silent) == 1 else 'do'} not answer, and may have it"
    for name, service in sorted(fleet.services.items()) if silent else ():
        for ordinal in range(service.replicas):
            possible_names = {
                InstanceName.of(name, ordinal),
                InstanceName.of(service.was, ordinal) if service.was else "",
            }
            if not possible_names & shown:
                instance_entry = {
                    "name": InstanceName.of(name, ordinal),
                    "service": name,
                    "ordinal": ordinal,
                    "host": "",
                    "detail": detail,
                }
                yield {**instance_entry, "state": "unknown", "health": "unknown"}


def may_have_ingress(host_survey: Survey | UnreachableHost) -> bool:
    """Whether the ingress of a host is there; of one that does not answer nobody knows otherwise."""
    return isinstance(host_survey, UnreachableHost) or host_survey.ingress.get("state") in ("running", "starting")


def published_rows(fleet: Fleet, ingress_hosts: list[str]) -> Iterator[dict[str, Any]]:
    for _, declared_service in sorted(fleet.services.items()):
        for publication in declared_service.publish:
            address = f"*:{publication.port}"
            yield {
                "kind": "published",
                "service": declared_service.name,
                "port": publication.to,
                "address": address,
                "hosts": ingress_hosts,
            }


def host_row(host_survey: Survey | UnreachableHost) -> dict[str, Any]:
    if isinstance(host_survey, UnreachableHost):
        return {
            "name": host_survey.host,
            "reachable": False,
            "why": host_survey.reason,
            "hint": host_survey.hint,
            "lease": None,
        }
    used = sum(live.memory + live.overhead for live in host_survey.instances)
    return {
        "name": host_survey.host,
        "host_id": host_survey.host_id,
        "reachable": True,
        "clock": host_survey.clock,
        "accelerator": host_survey.accelerator,
        "capabilities": [
            {"code": capability.code, "text": capability.text, "hint": capability.hint}
            for capability in host_survey.missing_capabilities
        ],
        "used": {"memory": used},
        "free": {"memory": host_survey.memory_free, "disk": host_survey.disk_free},
        "lease": host_survey.lease,
        "supervision": host_survey.supervision,
        "ingress": host_survey.ingress,
        "round_trips": host_survey.round_trips,
        "took_ms": round(host_survey.took * 1000),
    }


_STATES = {"running": "running", "unsupervised": "running", "starting": "running"}
_DETAILS = {
    "unsupervised": "nobody watches over it, for its supervisor is gone; the next apply brings one back",
    "begun": "it was recorded and never started; the next apply goes on with it",
    "leaving": "it is being retired; the next apply finishes that",
    "starting": "its host was rebooted, and starts it now",
    "lost": "the host was rebooted under it; the next apply starts it again",
    "damaged": "its record on the host is not as unictl wrote it",
}


_ANY_ADDRESS = (None, "", "0.0.0.0", "::")


def instance_row(fleet: Fleet, live: LiveInstance, health: str) -> dict[str, Any]:
    host = fleet.hosts.get(live.host)
    # Where it was told to listen when it was launched: what the fleet file says by now may be another address.
    bind = next((str(forward["bind"]) for forward in live.forwards if forward.get("bind") not in _ANY_ADDRESS), "")
    return {
        "name": live.name,
        "service": live.service,
        "ordinal": live.ordinal,
        "generation": live.generation,
        "host": live.host,
        "state": _STATES.get(live.state, "ended" if live.state in ("ended", "lost", "leaving") else "unknown"),
        "health": health,
        "address": bind or (host.address if host else "") or "127.0.0.1",
        "ports": {str(forward["name"]): forward["host"] for forward in live.forwards},
        "commit": live.commit.removesuffix("+"),
        "uncommitted": live.commit.endswith("+"),
        "fingerprint": live.fingerprint,
        "since": live.since,
        "starts": live.starts,
        "supervision": live.supervision,
        "exit": live.end,
        "detail": "; ".join(
            sentence for sentence in (_DETAILS.get(live.state), _boot_note(live), live.why) if sentence
        ),
    }


def _boot_note(live: LiveInstance) -> str:
    is_stray = live.state in _STATES and not live.at_boot
    return "its host would not start it at boot; the next apply mends that" if is_stray else ""
