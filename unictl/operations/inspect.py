"""Look without touching: validate, show, schema, status, logs, locks."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unictl.diagnostics.diagnostic import Problems
from unictl.diagnostics.failure import Failure, InvalidFleet, UsageFailure
from unictl.execution.surveys import Reached, survey_all
from unictl.fleet.model import Fleet
from unictl.fleet.references import Reference, canonical
from unictl.hosts.connect import connect
from unictl.instances.live import LiveInstance, Silent, Survey
from unictl.operations.request import FleetRequest
from unictl.operations.settle import read, settle
from unictl.operations.shipped import fleet_schema
from unictl.plan.acts import asked

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
    return Validated(fleet=found.loaded.fleet, problems=found.loaded.problems, files=found.loaded.files)


def schema() -> dict[str, Any]:
    """The JSON Schema of fleet files."""
    return fleet_schema()


def show(request: FleetRequest) -> dict[str, Any]:
    """The fleet as it is meant, with includes, templates and environment merged in."""
    found = read(request)
    if found.loaded.fleet is None:
        raise InvalidFleet("the fleet's files have problems", problems=found.loaded.problems)
    tree: dict[str, Any] = _plain(asdict(found.loaded.fleet))
    return {"format_version": FORMAT_VERSION, **tree}


def _plain(value: Any) -> Any:
    """JSON-able: texts as they are written, empty things left out."""
    if isinstance(value, Mapping):
        return {key: plain for key, each in value.items() if (plain := _plain(each)) not in (None, "", [], {})}
    if isinstance(value, tuple | list):
        if value and all(isinstance(part, str | Reference) for part in value) and any(
            isinstance(part, Reference) for part in value
        ):
            return canonical(tuple(value))
        return [_plain(each) for each in value]
    return getattr(value, "value", value)


def status(request: FleetRequest) -> dict[str, Any]:
    """What runs, host by host: the document of design's section on commands, with ``format_version``."""
    settled = settle(request)
    return asyncio.run(_status(settled.fleet, settled.endpoints))


async def _status(fleet: Fleet, endpoints: Mapping[str, int]) -> dict[str, Any]:
    reached = await _reach(fleet)
    try:
        rows = [
            (said, live)
            for _, said in sorted(reached.world.items())
            if isinstance(said, Survey)
            for live in said.instances
        ]
        healths = await asyncio.gather(*(_health(fleet, reached, live) for _, live in rows))
    finally:
        await reached.close()
    return {
        "format_version": FORMAT_VERSION,
        "fleet": fleet.mark,
        "hosts": [_host(said) for _, said in sorted(reached.world.items())],
        "instances": [_instance(fleet, live, health) for (_, live), health in zip(rows, healths, strict=True)],
        "endpoints": [
            {"service": key.partition(".")[0], "port": key.partition(".")[2], "address": f"127.0.0.1:{number}"}
            for key, number in sorted(endpoints.items())
        ]
        + [
            {"service": s.name, "port": p.to, "address": f"*:{p.port}"}
            for _, s in sorted(fleet.services.items())
            for p in s.publish
        ],
    }


async def _reach(fleet: Fleet) -> Reached:
    return await survey_all(fleet.hosts, connect, owner=fleet.owner, mark=fleet.mark, full={})


async def _health(fleet: Fleet, reached: Reached, live: LiveInstance) -> str:
    """One round of the service's checks now: healthy, unhealthy, starting, process-only, unknown."""
    if live.state not in ("running", "unsupervised"):
        return "unknown"
    service = fleet.services.get(live.service)
    if service is None or not service.health:
        return "process-only"
    probes = [asked(probe, live.forwards) for probe in service.health]
    try:
        answer = await reached.connections[live.host].health(fleet.owner, live.key, probes)
    except Failure:
        return "unknown"
    if answer["healthy"]:
        return "healthy"
    return "unhealthy" if live.proven else "starting"


def _host(said: Survey | Silent) -> dict[str, Any]:
    if isinstance(said, Silent):
        return {"name": said.host, "reachable": False, "why": said.why, "lease": None}
    used = sum(i.memory + i.overhead for i in said.instances)
    return {
        "name": said.host,
        "host_id": said.host_id,
        "reachable": True,
        "accelerator": said.accelerator,
        "capabilities": [{"code": c.code, "text": c.text, "hint": c.hint} for c in said.lacks],
        "used": {"memory": used},
        "free": {"memory": said.memory_free, "disk": said.disk_free},
        "lease": said.lease,
        "supervision": said.supervision,
        "ingress": said.ingress,
    }


_STATES = {"running": "running", "unsupervised": "running"}


def _instance(fleet: Fleet, live: LiveInstance, health: str) -> dict[str, Any]:
    host = fleet.hosts.get(live.host)
    return {
        "name": live.name,
        "service": live.service,
        "ordinal": live.ordinal,
        "generation": live.generation,
        "host": live.host,
        "state": _STATES.get(live.state, "ended" if live.state in ("ended", "lost", "leaving") else "unknown"),
        "health": health,
        "address": (host.address if host else "") or "127.0.0.1",
        "ports": {str(f["name"]): f["host"] for f in live.forwards},
        "commit": live.commit,
        "fingerprint": live.fingerprint,
        "since": live.since,
        "starts": live.starts,
        "exit": live.end,
    }


def locks(request: FleetRequest) -> dict[str, Any]:
    """Who holds the fleet's lease on which host."""
    fleet = settle(request).fleet

    async def look() -> Reached:
        reached = await _reach(fleet)
        await reached.close()
        return reached

    reached = asyncio.run(look())
    return {
        "format_version": FORMAT_VERSION,
        "fleet": fleet.mark,
        "hosts": [_host(said) for _, said in sorted(reached.world.items())],
    }


def logs(
    request: FleetRequest, selector: str, *, previous: bool = False, lines: int = 0, follow: bool = False
) -> Iterator[str]:
    """The console of an instance, or of every instance of a service, line by line as they come."""
    fleet = settle(request).fleet
    loop = asyncio.new_event_loop()
    pieces = _tail(fleet, selector, previous, lines, follow)
    try:
        while (piece := loop.run_until_complete(anext(pieces, None))) is not None:
            yield piece
    finally:
        loop.run_until_complete(pieces.aclose())
        loop.close()


async def _tail(
    fleet: Fleet, selector: str, previous: bool, lines: int, follow: bool
) -> AsyncGenerator[str, None]:
    reached = await _reach(fleet)
    try:
        found = _named(reached, selector, fleet)
        if not found:
            raise UsageFailure(f"no instance {selector!r} on any host that answered", hint="unictl status lists them")
        async for piece in _merged(reached, fleet, found, previous, lines, follow):
            yield piece
    finally:
        await reached.close()


def _named(reached: Reached, selector: str, fleet: Fleet) -> list[tuple[str, str]]:
    """(host, instance name) of what ``selector`` names: an instance, live or retired, or a service."""
    rows: set[tuple[str, str]] = set()
    for host, said in reached.world.items():
        if isinstance(said, Survey):
            rows |= {(host, live.name) for live in said.instances}
            rows |= {(host, name) for name in said.retired}
    exact = sorted(row for row in rows if row[1] == selector)
    return exact or sorted(row for row in rows if row[1].rpartition("-")[0] == selector)


async def _merged(
    reached: Reached, fleet: Fleet, found: list[tuple[str, str]], previous: bool, lines: int, follow: bool
) -> AsyncIterator[str]:
    """The texts of several consoles, each line with its instance's name where there is more than one."""
    queue: asyncio.Queue[str | BaseException | None] = asyncio.Queue()

    async def one(host: str, name: str) -> None:
        prefix = f"{name}: " if len(found) > 1 else ""
        try:
            tail = reached.connections[host].tail(fleet.owner, name, previous=previous, follow=follow, lines=lines)
            async for piece in tail:
                for line in piece.splitlines(keepends=True):
                    queue.put_nowait(prefix + line)
        except Failure as failure:
            queue.put_nowait(failure)
        queue.put_nowait(None)

    tasks = [asyncio.create_task(one(host, name)) for host, name in found]
    left = len(tasks)
    try:
        while left:
            piece = await queue.get()
            if piece is None:
                left -= 1
            elif isinstance(piece, BaseException):
                raise piece
            else:
                yield piece
    finally:
        for task in tasks:
            task.cancel()
