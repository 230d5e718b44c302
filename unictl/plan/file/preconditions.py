"""What a plan relies on, host by host: recorded when planning, compared when applying. Pure.

Pids, uptime, health and load are left out: they may change without changing the plan.
"""

from collections.abc import Iterable, Mapping

from unictl.instances.observed.host_state import LiveInstance, Survey
from unictl.plan.model.payloads import IngressData, LaunchData
from unictl.plan.model.plan_host import HostPreconditions, RecordPreconditions
from unictl.plan.model.step import Step, StepKind
from unictl.plan.reconcile.classify import state_class


def host_preconditions(survey: Survey, ports: Iterable[int]) -> HostPreconditions:
    """What a plan relies on at one host; ``ports``: those that its steps there need."""
    is_ingress_running = survey.ingress.get("state") in ("running", "starting")
    return HostPreconditions(
        host_id=survey.host_id,
        records={
            str(live.key): _record_preconditions(live) for live in sorted(survey.instances, key=lambda live: live.key)
        },
        ports={port: foreign_port_holder(survey, port) for port in sorted(set(ports))},
        ingress=survey.ingress.get("hash", "") if is_ingress_running else "",
        volumes={volume.name: volume.used_by for volume in sorted(survey.volumes, key=lambda volume: volume.name)},
    )


def _record_preconditions(live: LiveInstance) -> RecordPreconditions:
    return RecordPreconditions(
        fingerprint=live.fingerprint, state=state_class(live), proven=live.proven, protect=live.protect
    )


def foreign_port_holder(survey: Survey, port: int) -> str:
    """Who else holds a port of a host; empty where nobody does."""
    port_claims = [claim for claim in survey.claims if claim.kind == "port" and claim.port == port]
    return next(
        (
            f"{first_claim.holder} of fleet {first_claim.owner}" if first_claim.owner else "another program"
            for first_claim in port_claims
        ),
        "",
    )


def required_ports(steps: Iterable[Step]) -> Mapping[str, tuple[int, ...]]:
    """The ports that steps want, by host: forwards of what is launched, and what ingresses listen on."""
    ports_by_host: dict[str, set[int]] = {}
    for step in steps:
        if isinstance(step.data, LaunchData):
            entries = step.data.document["run"].get("forwards", ())
            ports_by_host.setdefault(step.host, set()).update(int(entry["host"]) for entry in entries)
        elif step.kind is StepKind.JOIN:
            memberships = step.data_as(IngressData).services
            listening = (listener.port for listeners in memberships.values() for listener in listeners)
            ports_by_host.setdefault(step.host, set()).update(listening)
    return {host: tuple(sorted(ports)) for host, ports in ports_by_host.items()}
