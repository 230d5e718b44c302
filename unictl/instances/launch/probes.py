"""The health probes and the health gate of an instance as the JSON that a host runs. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from unictl.fleet.model import Probe, Service


def health_gate_data(service: Service, key: str, forwards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What an instance has to pass, with these forwards."""
    probes = service.health
    data: dict[str, Any] = {
        "key": key,
        "probes": [probe_json(probe, forwards) for probe in probes],
        "min_healthy_time": max(
            (health_probe.min_healthy_time for health_probe in probes), default=_DEFAULT_PROBE.min_healthy_time
        ),
        "healthy_deadline": max(
            (health_probe.healthy_deadline for health_probe in probes), default=_DEFAULT_PROBE.healthy_deadline
        ),
    }
    if service.kind == "job":
        data |= {"job": True, "healthy_deadline": service.update.progress_deadline}
    return data


_DEFAULT_PROBE = Probe(kind="process")


def probe_json(probe: Probe, forwards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A probe as the host asks it: of the forwarded port."""
    probe_data = {
        "kind": probe.kind,
        "path": probe.path,
        "send": probe.send,
        "expect": probe.expect,
        "pattern": probe.pattern,
        "interval": probe.interval,
        "timeout": probe.timeout,
    }
    if probe.kind == "console":
        return probe_data
    matching_forwards = [
        forward for forward in forwards if not forward.get("udp") and probe.port in ("", forward.get("name"))
    ]
    return (
        {**probe_data, "port": int(matching_forwards[0]["host"]), "bind": str(matching_forwards[0].get("bind", ""))}
        if matching_forwards
        else probe_data
    )
