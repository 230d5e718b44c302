"""Read without changing anything: validate, show, schema, status, logs and locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from unictl.diagnostics.diagnostic import Problems
from unictl.diagnostics.failure import InvalidFleet, UsageFailure
from unictl.fleet.model import Fleet, Service
from unictl.fleet.names import instance_name
from unictl.fleet.references import Text, canonical
from unictl.instances.observed.host_state import LiveInstance, Silent, Survey, World
from unictl.operations import package_data
from unictl.operations.planning.prepare import declared, lock_problems, read
from unictl.operations.request import FleetRequest

if TYPE_CHECKING:
    from unictl.operations.planning.prepare import Settled

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """What came of reading a fleet's files; ``fleet`` is None where an error stands in ``problems``."""

    fleet: Fleet | None
    problems: Problems
    files: tuple[str, ...]


def validate(request: FleetRequest) -> Validated:
    """Reads the files and nothing else: runs nothing, reads no secret and no image, connects nowhere."""
    found = read(request)
    problems = (*found.loaded.problems, *lock_problems(found))
    return Validated(fleet=found.loaded.fleet, problems=problems, files=found.loaded.files)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of that document; UsageFailure where there is none."""
    if name not in package_data.SCHEMAS:
        raise UsageFailure(f"there is no schema {name!r}", hint=f"it is one of {', '.join(package_data.SCHEMAS)}")
    return package_data.schema(name)


def show(request: FleetRequest) -> dict[str, Any]:
    """The fleet as it is meant, with includes, templates and environment merged in."""
    found = read(request)
    if found.loaded.fleet is None:
        raise InvalidFleet("the fleet's files have problems", problems=found.loaded.problems)
    tree: dict[str, Any] = _plain(found.loaded.fleet)
    return {"format_version": FORMAT_VERSION, **tree}


def _plain(value: Any) -> Any:
    """JSON-able: texts as they are written, empty things left out."""
    if isinstance(value, Service):
        texts = {"args": [*map(canonical, value.args)], "environment": _canonical(value.environment)}
        return _plain({each.name: getattr(value, each.name) for each in fields(value)} | texts)
    if is_dataclass(value):
        return _plain({each.name: getattr(value, each.name) for each in fields(value)})
    if isinstance(value, Mapping):
        return {key: plain for key, each in value.items() if (plain := _plain(each)) not in (None, "", [], {})}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return getattr(value, "value", value)


def _canonical(texts: Mapping[str, Text]) -> dict[str, str]:
    return {name: canonical(text) for name, text in texts.items()}


def status(request: FleetRequest) -> dict[str, Any]:
    """What runs, host by host: the document of design's section on commands, with ``format_version``."""
    # Only here: what reads files alone must not pay for the event loop.
    from unictl.execution import queries
    from unictl.hosts.connector import connect
    from unictl.operations.planning.prepare_readonly import standing

    settled = standing(request)
    fleet = settled.fleet
    world, healths = queries.healths(fleet, connect)
    listens = [host for host, said in sorted(world.items()) if fleet.hosts[host].ingress and _listens(said)]
    return {
        "format_version": FORMAT_VERSION,
        "fleet": fleet.mark,
        "hosts": [_host(said) for _, said in sorted(world.items())],
        "instances": [
            _instance(fleet, live, healths[live.host, live.key])
            for _, said in sorted(world.items())
            if isinstance(said, Survey)
            for live in said.instances
        ]
        + list(_unseen(fleet, world)),
        "endpoints": [*_endpoints(settled, listens), *_published(fleet, listens)],
    }


def _unseen(fleet: Fleet, world: World) -> Iterator[dict[str, Any]]:
    """A row for each declared instance that no host shows, while one that may have it does not answer."""
    silent = sorted(name for name, said in world.items() if isinstance(said, Silent))
    shown = {live.name for said in world.values() if isinstance(said, Survey) for live in said.instances}
    detail = f"{', '.join(silent)} {'does' if len(silent) == 1 else 'do'} not answer, and may have it"
    for name, service in sorted(fleet.services.items()) if silent else ():
        for n in range(service.replicas):
            own = {instance_name(name, n), instance_name(service.was, n) if service.was else ""}
            if not own & shown:
                row = {"name": instance_name(name, n), "service": name, "ordinal": n, "host": "", "detail": detail}
                yield {**row, "state": "unknown", "health": "unknown"}


def _endpoints(settled: Settled, listens: list[str]) -> Iterator[dict[str, Any]]:
    """Every endpoint; the address is empty where ``fleet.lock`` does not say its number."""
    for key in sorted(f"{name}.{port.name}" for name, s in settled.fleet.services.items() for port in s.ports):
        service, _, port = key.partition(".")
        number = settled.endpoints.get(key)
        address = f"127.0.0.1:{number}" if number else ""
        yield {"kind": "endpoint", "service": service, "port": port, "address": address, "hosts": listens}


def _listens(said: Survey | Silent) -> bool:
    """Whether the ingress of a host is there; of one that does not answer nobody knows otherwise."""
    return isinstance(said, Silent) or said.ingress.get("state") in ("running", "starting")


def _published(fleet: Fleet, listens: list[str]) -> Iterator[dict[str, Any]]:
    for _, s in sorted(fleet.services.items()):
        for p in s.publish:
            address = f"*:{p.port}"
            yield {"kind": "published", "service": s.name, "port": p.to, "address": address, "hosts": listens}


def _host(said: Survey | Silent) -> dict[str, Any]:
    if isinstance(said, Silent):
        return {"name": said.host, "reachable": False, "why": said.why, "hint": said.hint, "lease": None}
    used = sum(i.memory + i.overhead for i in said.instances)
    return {
        "name": said.host,
        "host_id": said.host_id,
        "reachable": True,
        "clock": said.clock,
        "accelerator": said.accelerator,
        "capabilities": [{"code": c.code, "text": c.text, "hint": c.hint} for c in said.lacks],
        "used": {"memory": used},
        "free": {"memory": said.memory_free, "disk": said.disk_free},
        "lease": said.lease,
        "supervision": said.supervision,
        "ingress": said.ingress,
        "round_trips": said.round_trips,
        "took_ms": round(said.took * 1000),
    }


_STATES = {"running": "running", "unsupervised": "running", "starting": "running"}
_DETAILS = {
    "unsupervised": "nobody watches over it, for its keeper is gone; the next apply brings one back",
    "begun": "it was recorded and never started; the next apply goes on with it",
    "leaving": "it is being retired; the next apply finishes that",
    "starting": "its host was rebooted, and starts it now",
    "lost": "the host was rebooted under it; the next apply starts it again",
    "damaged": "its record on the host is not as unictl wrote it",
}


_ANYWHERE = (None, "", "0.0.0.0", "::")


def _instance(fleet: Fleet, live: LiveInstance, health: str) -> dict[str, Any]:
    host = fleet.hosts.get(live.host)
    # Where it was told to listen when it was launched: what the fleet file says by now may be another address.
    bind = next((str(f["bind"]) for f in live.forwards if f.get("bind") not in _ANYWHERE), "")
    return {
        "name": live.name,
        "service": live.service,
        "ordinal": live.ordinal,
        "generation": live.generation,
        "host": live.host,
        "state": _STATES.get(live.state, "ended" if live.state in ("ended", "lost", "leaving") else "unknown"),
        "health": health,
        "address": bind or (host.address if host else "") or "127.0.0.1",
        "ports": {str(f["name"]): f["host"] for f in live.forwards},
        "commit": live.commit.removesuffix("+"),
        "uncommitted": live.commit.endswith("+"),
        "fingerprint": live.fingerprint,
        "since": live.since,
        "starts": live.starts,
        "supervision": live.supervision,
        "exit": live.end,
        "detail": "; ".join(each for each in (_DETAILS.get(live.state), _boot(live), live.why) if each),
    }


def _boot(live: LiveInstance) -> str:
    stray = live.state in _STATES and not live.at_boot
    return "its host would not start it at boot; the next apply mends that" if stray else ""


def locks(request: FleetRequest) -> dict[str, Any]:
    """Who holds the fleet's lease on which host."""
    from unictl.execution import queries
    from unictl.hosts.connector import connect

    fleet = declared(read(request))
    world = queries.world(fleet, connect)
    return {
        "format_version": FORMAT_VERSION,
        "fleet": fleet.mark,
        "hosts": [_host(said) for _, said in sorted(world.items())],
    }


def end_holder(request: FleetRequest, host: str) -> bool:
    """End the process that holds the fleet's lease on a host; False where nobody does."""
    from unictl.execution import queries
    from unictl.hosts.connector import connect

    return queries.end_holder(declared(read(request)), connect, host)


def logs(
    request: FleetRequest, selector: str, *, previous: bool = False, lines: int = 0, follow: bool = False
) -> Iterator[str]:
    """The console of an instance, or of every instance of a service, line by line as they come."""
    from unictl.execution import queries
    from unictl.hosts.connector import connect

    fleet = declared(read(request))
    return queries.tail(fleet, connect, selector, previous=previous, lines=lines, follow=follow)
