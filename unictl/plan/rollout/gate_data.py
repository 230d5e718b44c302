"""The health gate of an instance, from the health probes of its service. Pure."""

from collections.abc import Sequence

from unictl.fleet.model import Probe, Service
from unictl.hypervisors.launch import ForwardRow
from unictl.instances.launch.probes import probe_json
from unictl.plan.model.payloads import GateData

_DEFAULT_PROBE = Probe(kind="process")


def build_health_gate(service: Service, key: str, forwards: Sequence[ForwardRow]) -> GateData:
    """What an instance has to pass, with these forwards."""
    probes, is_job = service.health or (_DEFAULT_PROBE,), service.kind == "job"
    deadline = max(probe.healthy_deadline for probe in probes)
    return GateData(
        key=key,
        probes=tuple(probe_json(probe, forwards) for probe in service.health),
        min_healthy_time=max(probe.min_healthy_time for probe in probes),
        healthy_deadline=service.update.progress_deadline if is_job else deadline,
        job=is_job,
    )
