"""Ask every host of a fleet at once: connections in, a World out. A silent host is a value, not an error."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from unictl.diagnostics.failure import Failure
from unictl.fleet.model import Host
from unictl.hosts.host import Host as Connection
from unictl.hosts.host import HostProblem
from unictl.instances.live import Silent, Survey, decode

AT_ONCE = 32
"""Connections that are made at the same time (architecture, rule 12)."""

Connect = Callable[[Host], Awaitable[Connection]]


@dataclass(slots=True, kw_only=True)
class Reached:
    """Open connections by host, and what each host said."""

    connections: dict[str, Connection]
    world: dict[str, Survey | Silent]

    async def close(self) -> None:
        """Ends every conversation; a host that is gone meanwhile is no error."""
        await asyncio.gather(*(each.close() for each in self.connections.values()), return_exceptions=True)


async def survey_all(
    hosts: Mapping[str, Host], connect: Connect, *, owner: str, mark: str, full: Mapping[str, str]
) -> Reached:
    """Connects to every host and takes one survey of each. ``full``: instance name -> wished fingerprint."""
    gate = asyncio.Semaphore(AT_ONCE)
    reached = Reached(connections={}, world={})

    async def one(host: Host) -> None:
        async with gate:
            await _reach(reached, host, connect, owner, mark, full)

    await asyncio.gather(*(one(host) for _, host in sorted(hosts.items())))
    return reached


async def _reach(
    reached: Reached, host: Host, connect: Connect, owner: str, mark: str, full: Mapping[str, str]
) -> None:
    connection = None
    asked, began = time.time(), time.monotonic()
    try:
        connection = await connect(host)
        reply = await connection.survey(owner, mark, full)
    except Failure as failure:
        reached.world[host.name] = _silent(host.name, failure)
        if connection is not None:
            await connection.close()
        return
    reached.connections[host.name] = connection
    said = decode(host.name, reply)
    reached.world[host.name] = replace(
        said,
        skew=_outside(said.clock, asked, time.time()),
        took=time.monotonic() - began,
        round_trips=connection.round_trips,
    )


def _outside(clock: float, asked: float, answered: float) -> float:
    """How far a clock that was read between two moments lies outside of them; negative: behind."""
    return min(0.0, clock - asked) + max(0.0, clock - answered)


def _silent(host: str, failure: Failure) -> Silent:
    newer = isinstance(failure, HostProblem) and failure.kind == "newer-format"
    return Silent(host=host, why=failure.summary.removeprefix(f"host {host}: "), hint=failure.hint, newer=newer)


async def survey_again(
    connections: Mapping[str, Connection], *, owner: str, mark: str, full: Mapping[str, str]
) -> dict[str, Survey | Silent]:
    """A fresh survey over connections that are open."""

    async def one(name: str, connection: Connection) -> Survey | Silent:
        try:
            return decode(name, await connection.survey(owner, mark, full))
        except Failure as failure:
            return _silent(name, failure)

    names = sorted(connections)
    said = await asyncio.gather(*(one(name, connections[name]) for name in names))
    return dict(zip(names, said, strict=True))
