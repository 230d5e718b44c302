"""Compares a plan's preconditions with hosts that were surveyed again, one sentence a difference. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic, Problems
from unictl.instances.observed.host_state import Silent, Survey, World
from unictl.plan.file.preconditions import read
from unictl.plan.model.plan import Plan

_HINT = "plan again: it will show what is to be done now"
_STATES = {
    "running": "runs",
    "begun": "is recorded and not started",
    "ended": "has ended",
    "lost": "was lost in a reboot",
}


def moved(plan: Plan, world: World) -> Problems:
    """Every difference between what ``plan`` has read and ``world``; only hosts that it touches count."""
    found = (
        Diagnostic(code="stale", summary=text, hint=_HINT)
        for host in sorted(plan.read)
        for text in _host(host, plan.read[host], world.get(host))
    )
    return tuple(found)


def _host(host: str, then: Mapping[str, Any], said: Survey | Silent | None) -> Iterator[str]:
    if not isinstance(said, Survey):
        yield f"{host} does not answer any more: {said.why if said else 'it was not asked'}"
        return
    now = read(said, (int(port) for port in then["ports"]))
    if now["host_id"] != then["host_id"]:
        yield f"{host} is another machine than the plan was made with"
        return
    yield from _records(host, then["records"], now["records"])
    yield from _ports(host, then["ports"], now["ports"])
    yield from _volumes(host, then["volumes"], now["volumes"])
    if now["ingress"] != then["ingress"]:
        yield f"the ingress of {host} is not the one the plan was made with"


def _records(host: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*then, *now}):
        old, new = then.get(key), now.get(key)
        if old == new:
            continue
        if old is None or new is None:
            yield f"{key} is new on {host}" if old is None else f"{key} is not on {host} any more"
        elif old["state"] != new["state"]:
            yield f"{key} on {host} {_state(new['state'])}; when planned it {_state(old['state'])}"
        elif old["protect"] != new["protect"]:
            yield f"{key} on {host} is {'protected now' if new['protect'] else 'not protected any more'}"
        elif old["proven"] != new["proven"]:
            yield f"{key} on {host} has {'passed' if new['proven'] else 'not passed'} its gate by now"
        else:
            yield f"{key} on {host} is another than it was"


def _state(state: str) -> str:
    return _STATES.get(state, f"is {state}")


def _ports(host: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for port, old in sorted(then.items()):
        new = now[port]
        if old != new:
            yield f"port {port} of {host} is {f'held by {new}' if new else f'free; {old} held it'}"


def _volumes(host: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        if name not in now or name not in then:
            yield f"volume {name} is not on {host} any more" if name not in now else f"volume {name} is new on {host}"
        elif then[name] != now[name]:
            users = (then[name] or "nobody", now[name] or "nobody")
            yield f"volume {name} on {host} is used by {users[1]}; when planned by {users[0]}"
