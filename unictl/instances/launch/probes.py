"""The health probes and the health gate of an instance as the JSON that a host runs. Pure."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from unictl.fleet.model import Probe, Service
from unictl.hypervisors.launch import ForwardRow


class ProbeRow(TypedDict):
    """One health probe."""

    kind: str
    path: str
    send: str
    expect: str
    pattern: str
    interval: int
    timeout: int
    # The forwarded port and its address; missing for a probe of the console, and where no port is forwarded.
    port: NotRequired[int]
    bind: NotRequired[str]


class HealthGate(TypedDict):
    """What an instance has to pass before it counts as healthy. Durations in milliseconds."""

    key: str
    probes: list[ProbeRow]
    min_healthy_time: int
    healthy_deadline: int
    # A job passes by exiting successfully.
    job: NotRequired[bool]


def health_gate_data(service: Service, key: str, forwards: Sequence[ForwardRow]) -> HealthGate:
    """What an instance has to pass, with these forwards."""
    probes = service.health
    gate: HealthGate = {
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
        gate["job"] = True
        gate["healthy_deadline"] = service.update.progress_deadline
    return gate


_DEFAULT_PROBE = Probe(kind="process")


def probe_json(probe: Probe, forwards: Sequence[ForwardRow]) -> ProbeRow:
    """A probe as the host asks it: of the forwarded port."""
    probe_row: ProbeRow = {
        "kind": probe.kind,
        "path": probe.path,
        "send": probe.send,
        "expect": probe.expect,
        "pattern": probe.pattern,
        "interval": probe.interval,
        "timeout": probe.timeout,
    }
    if probe.kind == "console":
        return probe_row
    matching_forwards = [
        forward for forward in forwards if not forward.get("udp") and probe.port in ("", forward.get("name"))
    ]
    if matching_forwards:
        probe_row["port"] = int(matching_forwards[0]["host"])
        probe_row["bind"] = str(matching_forwards[0].get("bind", ""))
    return probe_row
