"""Read-only queries of hosts: live state, health, stores, ledgers, logs. Plain calls; the event loop is inside."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from unictl.diagnostics.failure import Failure, Unreachable, UsageFailure
from unictl.execution.surveys import AT_ONCE, Connect, Reached, Wished, survey_all
from unictl.fleet.model import Fleet
from unictl.fleet.model import Host as Machine
from unictl.fleet.names import closest
from unictl.hosts.host import Host
from unictl.instances.observed.host_state import LiveInstance, Silent, Survey, World

ENTRIES = 500
"""How many applies a ledger is looked back."""


def world(fleet: Fleet, connect: Connect, full: Wished | None = None) -> World:
    """What every host of the fleet says of itself. ``full``: instance name -> wished fingerprint, or what works it
    out while the hosts are being reached."""
    return asyncio.run(_world(fleet, connect, full or {}))


async def _world(fleet: Fleet, connect: Connect, full: Wished) -> World:
    reached = await _reach(fleet, connect, full)
    await reached.close()
    return reached.world


async def _reach(fleet: Fleet, connect: Connect, full: Wished) -> Reached:
    return await survey_all(fleet.hosts, connect, owner=fleet.owner, mark=fleet.mark, was=fleet.former, full=full)


def end_holder(fleet: Fleet, connect: Connect, name: str) -> bool:
    """End the process that holds the fleet's lease on a host; False where nobody does. UsageFailure, Unreachable."""
    if name not in fleet.hosts:
        raise UsageFailure(f"the fleet has no host {name!r}", hint=f"it has {', '.join(sorted(fleet.hosts))}")
    return asyncio.run(_end_holder(fleet, connect, name))


async def _end_holder(fleet: Fleet, connect: Connect, name: str) -> bool:
    connection = await connect(fleet.hosts[name])
    try:
        return await connection.end_holder(fleet.owner, fleet.former)
    finally:
        await connection.close()


def healths(fleet: Fleet, connect: Connect) -> tuple[World, Mapping[tuple[str, str], str]]:
    """The live state, and by (host, instance key) how each instance is right now: healthy, unhealthy, starting,
    process-only or unknown."""
    return asyncio.run(_healths(fleet, connect))


async def _healths(fleet: Fleet, connect: Connect) -> tuple[World, Mapping[tuple[str, str], str]]:
    reached = await _reach(fleet, connect, {})
    try:
        lives = [i for said in reached.world.values() if isinstance(said, Survey) for i in said.instances]
        found = await asyncio.gather(*(_health(fleet, reached, live) for live in lives))
    finally:
        await reached.close()
    return reached.world, {(i.host, i.key): health for i, health in zip(lives, found, strict=True)}


def inventories(fleet: Fleet, connect: Connect, *, check: bool) -> tuple[World, Mapping[str, Mapping[str, Any]]]:
    """The live state, and by host what lies in its store. ``check``: images are read and compared with their names."""
    return asyncio.run(_inventories(fleet, connect, check))


async def _inventories(fleet: Fleet, connect: Connect, check: bool) -> tuple[World, Mapping[str, Mapping[str, Any]]]:
    reached = await _reach(fleet, connect, {})
    found: dict[str, Mapping[str, Any]] = {}

    async def one(name: str, host: Host) -> None:
        try:
            found[name] = await host.inventory(fleet.owner, check)
        except Unreachable as failure:
            reached.world[name] = Silent(host=name, why=failure.summary, hint=failure.hint)

    try:
        await asyncio.gather(*(one(name, host) for name, host in reached.connections.items()))
    finally:
        await reached.close()
    return reached.world, found


def ledgers(fleet: Fleet, connect: Connect) -> list[Mapping[str, Any]]:
    """The last entries of the ledgers of all hosts that answer."""
    return asyncio.run(_ledgers(fleet, connect))


async def _ledgers(fleet: Fleet, connect: Connect) -> list[Mapping[str, Any]]:
    reached = await _reach(fleet, connect, {})
    try:
        asked = (host.ledger_read(fleet.owner, ENTRIES) for host in reached.connections.values())
        found = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await reached.close()
    return [row for rows in found if isinstance(rows, list) for row in rows]


def ingress_texts(fleet: Fleet, connect: Connect, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """By host, the ingress in place: {text (without servers), hash}. Hosts that do not answer any more are left out."""
    return asyncio.run(_ingress_texts(fleet, connect, [fleet.hosts[name] for name in names]))


async def _ingress_texts(fleet: Fleet, connect: Connect, hosts: Sequence[Machine]) -> Mapping[str, Mapping[str, str]]:
    async def one(host: Machine) -> Mapping[str, str]:
        connection = await connect(host)
        try:
            return await connection.ingress_text(fleet.owner)
        finally:
            await connection.close()

    gate = asyncio.Semaphore(AT_ONCE)

    async def gated(host: Machine) -> Mapping[str, str]:
        async with gate:
            return await one(host)

    told = await asyncio.gather(*map(gated, hosts), return_exceptions=True)
    return {host.name: row for host, row in zip(hosts, told, strict=True) if not isinstance(row, BaseException)}


def ended_well(fleet: Fleet, live: LiveInstance) -> bool:
    """Whether it is a job that has done what it was there for."""
    service = fleet.services.get(live.service)
    job = service is not None and service.kind == "job"
    return job and live.state == "ended" and (live.end or {}).get("verdict") == "clean"


async def _health(fleet: Fleet, reached: Reached, live: LiveInstance) -> str:
    if live.state == "starting":
        return "starting"
    if ended_well(fleet, live):
        return "healthy"
    if live.state not in ("running", "unsupervised"):
        return "unknown"
    service = fleet.services.get(live.service)
    if service is None or not service.health:
        return "process-only"
    # Only here: what looks at hosts alone must not pay for all that makes a plan.
    from unictl.plan.rollout.step_factory import asked

    probes = [asked(probe, live.forwards) for probe in service.health]
    try:
        answer = await reached.connections[live.host].health(fleet.owner, live.key, probes)
    except Failure:
        return "unknown"
    if answer["healthy"]:
        return "healthy"
    return "unhealthy" if live.proven else "starting"


def tail(fleet: Fleet, connect: Connect, selector: str, *, previous: bool, lines: int, follow: bool) -> Iterator[str]:
    """The console of an instance, or of every instance of a service, as it comes."""
    loop = asyncio.new_event_loop()
    pieces = _tail(fleet, connect, selector, previous, lines, follow)
    coming = loop.create_task(_next(pieces))
    try:
        while (piece := loop.run_until_complete(coming)) is not None:
            coming = loop.create_task(_next(pieces))
            yield piece
    finally:
        # An interrupt leaves it waiting, and a generator that waits cannot be closed.
        coming.cancel()
        loop.run_until_complete(asyncio.gather(coming, return_exceptions=True))
        loop.run_until_complete(pieces.aclose())
        loop.close()


async def _next(pieces: AsyncGenerator[str, None]) -> str | None:
    return await anext(pieces, None)


async def _tail(
    fleet: Fleet, connect: Connect, selector: str, previous: bool, lines: int, follow: bool
) -> AsyncGenerator[str, None]:
    reached = await _reach(fleet, connect, {})
    try:
        found = _named(reached, selector)
        if not found:
            raise _nowhere(reached, selector)
        async for piece in _merged(reached, fleet, found, previous, lines, follow):
            yield piece
    finally:
        await reached.close()


def _nowhere(reached: Reached, selector: str) -> Failure:
    """No host that answers has it; one that does not may."""
    near = closest(selector, _names(reached))
    meant = f", did you mean {near}?" if near else ""
    silent = [said for _, said in sorted(reached.world.items()) if isinstance(said, Silent)]
    if not silent:
        return UsageFailure(f"no instance {selector!r} on any host{meant}", hint="unictl status lists them")
    why = "; ".join(f"{said.host} does not answer and may have it: {said.why.rstrip('.')}" for said in silent)
    hint = "; ".join(dict.fromkeys(said.hint for said in silent if said.hint))
    return Unreachable(f"no instance {selector!r} on any host that answered{meant or ';'} {why}", hint=hint)


def _named(reached: Reached, selector: str) -> list[tuple[str, str]]:
    """(host, instance name) of what ``selector`` names: an instance, live or retired, or a service."""
    rows: set[tuple[str, str]] = set()
    for host, said in reached.world.items():
        if isinstance(said, Survey):
            rows |= {(host, live.name) for live in said.instances}
            rows |= {(host, name) for name in said.retired}
    exact = sorted(row for row in rows if row[1] == selector)
    return exact or sorted(row for row in rows if row[1].rpartition("-")[0] == selector)


def _names(reached: Reached) -> set[str]:
    """What a selector could have named."""
    said = [each for each in reached.world.values() if isinstance(each, Survey)]
    names = {name for each in said for name in (*each.retired, *(live.name for live in each.instances))}
    return names | {name.rpartition("-")[0] for name in names}


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
