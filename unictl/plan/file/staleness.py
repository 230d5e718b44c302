"""Compares a plan's preconditions with hosts that were surveyed again, one sentence a difference. Pure."""

from collections.abc import Iterator, Mapping

from unictl.diagnostics.diagnostic import Diagnostic, Problems
from unictl.instances.observed.host_state import LiveState, Survey, UnreachableHost
from unictl.plan.file.preconditions import host_preconditions
from unictl.plan.model.plan import Plan
from unictl.plan.model.plan_host import HostPreconditions, RecordPreconditions

_HINT = "plan again: it will show what is to be done now"
_STATE_PHRASES = {
    "running": "runs",
    "begun": "is recorded and not started",
    "ended": "has ended",
    "lost": "was lost in a reboot",
}


def violated_preconditions(plan: Plan, live_state: LiveState) -> Problems:
    """Every difference between what ``plan`` has read and ``live_state``; only hosts that it touches count."""
    diagnostics = (
        Diagnostic(code="stale", summary=text, hint=_HINT)
        for host in sorted(plan.preconditions)
        for text in _host_violations(host, plan.preconditions[host], live_state.get(host))
    )
    return tuple(diagnostics)


def _host_violations(host: str, planned: HostPreconditions, survey: Survey | UnreachableHost | None) -> Iterator[str]:
    if not isinstance(survey, Survey):
        yield f"{host} does not answer any more: {survey.reason if survey else 'it was not asked'}"
        return
    current = host_preconditions(survey, planned.ports)
    if current.host_id != planned.host_id:
        yield f"{host} is another machine than the plan was made with"
        return
    yield from _record_violations(host, planned.records, current.records)
    yield from _port_violations(host, planned.ports, current.ports)
    yield from _volume_violations(host, planned.volumes, current.volumes)
    if current.ingress != planned.ingress:
        yield f"the ingress of {host} is not the one the plan was made with"


def _record_violations(
    host: str, planned: Mapping[str, RecordPreconditions], current: Mapping[str, RecordPreconditions]
) -> Iterator[str]:
    for key in sorted({*planned, *current}):
        old, new = planned.get(key), current.get(key)
        if old == new:
            continue
        if old is None or new is None:
            yield f"{key} is new on {host}" if old is None else f"{key} is not on {host} any more"
        elif old.state != new.state:
            yield f"{key} on {host} {_state_phrase(new.state)}; when planned it {_state_phrase(old.state)}"
        elif old.protect != new.protect:
            yield f"{key} on {host} is {'protected now' if new.protect else 'not protected any more'}"
        elif old.proven != new.proven:
            yield f"{key} on {host} has {'passed' if new.proven else 'not passed'} its gate by now"
        else:
            yield f"{key} on {host} is another than it was"


def _state_phrase(state: str) -> str:
    return _STATE_PHRASES.get(state, f"is {state}")


def _port_violations(host: str, planned: Mapping[int, str], current: Mapping[int, str]) -> Iterator[str]:
    for port, old in sorted(planned.items(), key=lambda item: str(item[0])):
        new = current[port]
        if old != new:
            yield f"port {port} of {host} is {f'held by {new}' if new else f'free; {old} held it'}"


def _volume_violations(host: str, planned: Mapping[str, str], current: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*planned, *current}):
        if name not in current or name not in planned:
            yield (
                f"volume {name} is not on {host} any more" if name not in current else f"volume {name} is new on {host}"
            )
        elif planned[name] != current[name]:
            users = (planned[name] or "nobody", current[name] or "nobody")
            yield f"volume {name} on {host} is used by {users[1]}; when planned by {users[0]}"
