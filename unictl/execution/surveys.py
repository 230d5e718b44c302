"""Surveys all hosts of a fleet at once: connections in, live state out.

An unreachable host is a value, not an error.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from unictl.diagnostics.failure import Failure
from unictl.fleet.model import Host
from unictl.hosts.host import Host as Connection
from unictl.hosts.host import HostProblem
from unictl.instances.observed.host_state import Silent, Survey, decode

AT_ONCE = 32
"""Connections that are made at the same time (architecture, rule 12)."""

_BARRING = ("newer-format", "renamed")
"""What a host says no with that bars a plan, whatever else it does."""

GRACE = (2.0, 5.0)
"""Seconds that hosts marked lost are waited for once all others have answered: as long again as those took, within
these. One that is dead costs no more, and one that is back is as fast as the others."""

Connect = Callable[[Host], Awaitable[Connection]]
Wished = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Instance name -> wished fingerprint; or what works that out, which is done while the hosts are being reached."""


@dataclass(slots=True, kw_only=True)
class Reached:
    """Open connections by host, and what each host said."""

    connections: dict[str, Connection]
    world: dict[str, Survey | Silent]

    async def close(self) -> None:
        """Ends every conversation; a host that is gone meanwhile is no error."""
        await asyncio.gather(*(each.close() for each in self.connections.values()), return_exceptions=True)


async def survey_all(
    hosts: Mapping[str, Host], connect: Connect, *, owner: str, mark: str, full: Wished, was: str = ""
) -> Reached:
    """Connects to every host and takes one survey of each. ``full``: whose specs are asked for where they differ;
    ``was``: the owner that the fleet was before it was renamed.

    Of hosts marked lost only those that answer are in what is returned: their silence is what everybody expects.
    What working ``full`` out raises is raised here, and no host is asked anything.
    """
    gates = {lost: asyncio.Semaphore(AT_ONCE) for lost in (False, True)}
    reached = Reached(connections={}, world={})
    wished = _beside(full) if callable(full) else _known(full)
    began = time.monotonic()

    async def one(host: Host) -> None:
        async with gates[host.lost]:
            await _reach(reached, host, connect, (owner, mark, was), wished)

    given = {name: asyncio.ensure_future(one(host)) for name, host in sorted(hosts.items())}
    tasks = list(given.values())
    try:
        await asyncio.gather(wished, *(task for name, task in given.items() if not hosts[name].lost))
        lost = {name: task for name, task in given.items() if hosts[name].lost}
        await _give_up(reached, lost, after=min(max(time.monotonic() - began, GRACE[0]), GRACE[1]))
    except BaseException:
        for task in tasks:
            # Once: a second time would break off what the first one ends in order.
            if not task.cancelling():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await reached.close()
        raise
    return reached


async def _give_up(reached: Reached, lost: Mapping[str, "asyncio.Future[None]"], *, after: float) -> None:
    """Lost hosts that do not answer within that many seconds are as if nobody had asked them."""
    if not lost:
        return
    await asyncio.wait(lost.values(), timeout=after)
    for task in lost.values():
        task.cancel()
    await asyncio.gather(*lost.values(), return_exceptions=True)
    for name in lost:
        said = reached.world.get(name)
        if isinstance(said, Silent) and not said.code:
            del reached.world[name]
    mute = [reached.connections.pop(name) for name in lost.keys() & reached.connections.keys() - reached.world.keys()]
    await asyncio.gather(*(asyncio.wait_for(each.close(), 0.5) for each in mute), return_exceptions=True)


def _known(full: Mapping[str, str]) -> "asyncio.Future[Mapping[str, str]]":
    known: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
    known.set_result(full)
    return known


def _beside(work: Callable[[], Mapping[str, str]]) -> "asyncio.Future[Mapping[str, str]]":
    """Does it in a thread of its own, which holds nobody up who wants to leave."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Mapping[str, str]] = loop.create_future()

    def settle(tell: Callable[..., None], told: object) -> None:
        if not done.done():
            tell(told)

    def run() -> None:
        tell: Callable[..., None] = done.set_result
        try:
            told: object = work()
        except BaseException as problem:
            tell, told = done.set_exception, problem
        with suppress(RuntimeError):
            # The loop is closed where somebody left meanwhile.
            loop.call_soon_threadsafe(settle, tell, told)

    threading.Thread(target=run, daemon=True).start()
    return done


async def _reach(
    reached: Reached,
    host: Host,
    connect: Connect,
    fleet: tuple[str, str, str],
    wished: "asyncio.Future[Mapping[str, str]]",
) -> None:
    began = time.monotonic()
    try:
        connection = reached.connections[host.name] = await connect(host)
    except Failure as failure:
        reached.world[host.name] = _silent(host.name, failure)
        return
    full, asked = await wished, time.time()
    owner, mark, was = fleet
    try:
        reply = await connection.survey(owner, mark, full, was)
    except Failure as failure:
        reached.world[host.name] = _silent(host.name, failure)
        del reached.connections[host.name]
        await connection.close()
        return
    said = decode(host.name, reply)
    reached.world[host.name] = replace(
        said,
        skew=_outside(said.clock, asked, time.time()),
        took=time.monotonic() - began,
        round_trips=connection.round_trips,
        notes=tuple(connection.notes),
    )


def _outside(clock: float, asked: float, answered: float) -> float:
    """How far a clock that was read between two moments lies outside of them; negative: behind."""
    return min(0.0, clock - asked) + max(0.0, clock - answered)


def _silent(host: str, failure: Failure) -> Silent:
    code = failure.kind if isinstance(failure, HostProblem) and failure.kind in _BARRING else ""
    return Silent(host=host, why=failure.summary.removeprefix(f"host {host}: "), hint=failure.hint, code=code)


async def survey_again(
    connections: Mapping[str, Connection], *, owner: str, mark: str, full: Mapping[str, str], was: str = ""
) -> dict[str, Survey | Silent]:
    """A fresh survey over connections that are open."""

    async def one(name: str, connection: Connection) -> Survey | Silent:
        try:
            return decode(name, await connection.survey(owner, mark, full, was))
        except Failure as failure:
            return _silent(name, failure)

    names = sorted(connections)
    said = await asyncio.gather(*(one(name, connections[name]) for name in names))
    return dict(zip(names, said, strict=True))
