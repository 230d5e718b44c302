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
from unictl.hosts.connection import HostConnection
from unictl.hosts.host_failures import HostFailure
from unictl.instances.observed.host_state import Survey, UnreachableHost, decode_survey

MAX_CONNECTIONS = 32
"""Connections that are made at the same time (architecture, rule 12)."""

_BLOCKING_KINDS = ("newer-format", "renamed")
"""What a host says no with that bars a plan, whatever else it does."""

LOST_HOST_GRACE = (2.0, 5.0)
"""Seconds that hosts marked lost are waited for once all others have answered: as long again as those took, within
these. One that is dead costs no more, and one that is back is as fast as the others."""

Connector = Callable[[Host], Awaitable[HostConnection]]
DesiredFingerprints = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Instance name -> desired fingerprint; or what works that out, which is done while the hosts are being reached."""


@dataclass(slots=True, kw_only=True)
class Connections:
    """Open connections by host, and what each host said."""

    by_host: dict[str, HostConnection]
    live_state: dict[str, Survey | UnreachableHost]

    async def close(self) -> None:
        """Ends every conversation; a host that is gone meanwhile is no error."""
        await asyncio.gather(*(connection.close() for connection in self.by_host.values()), return_exceptions=True)


async def survey_all(
    hosts: Mapping[str, Host],
    connect: Connector,
    *,
    owner: str,
    mark: str,
    fingerprints: DesiredFingerprints,
    former_owner: str = "",
) -> Connections:
    """Connects to every host and takes one survey of each.

    ``fingerprints``: whose specs are asked for where they differ; ``former_owner``: the owner that the fleet was before
    it was renamed.

    Of hosts marked lost only those that answer are in what is returned: their silence is what everybody expects.
    What working ``fingerprints`` out raises is raised here, and no host is asked anything.
    """
    slots = {lost: asyncio.Semaphore(MAX_CONNECTIONS) for lost in (False, True)}
    connections = Connections(by_host={}, live_state={})
    pending_fingerprints = _in_thread(fingerprints) if callable(fingerprints) else _completed_future(fingerprints)
    start_time = time.monotonic()

    async def survey_one(host: Host) -> None:
        async with slots[host.lost]:
            await _survey_host(connections, host, connect, (owner, mark, former_owner), pending_fingerprints)

    tasks_by_host = {name: asyncio.ensure_future(survey_one(host)) for name, host in sorted(hosts.items())}
    tasks = list(tasks_by_host.values())
    try:
        await asyncio.gather(
            pending_fingerprints, *(task for name, task in tasks_by_host.items() if not hosts[name].lost)
        )
        lost = {name: task for name, task in tasks_by_host.items() if hosts[name].lost}
        await _drop_lost_hosts(
            connections, lost, timeout=min(max(time.monotonic() - start_time, LOST_HOST_GRACE[0]), LOST_HOST_GRACE[1])
        )
    except BaseException:
        for task in tasks:
            # Once: a second time would break off what the first one ends in order.
            if not task.cancelling():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connections.close()
        raise
    return connections


async def _drop_lost_hosts(
    connections: Connections, lost: Mapping[str, "asyncio.Future[None]"], *, timeout: float
) -> None:
    """Lost hosts that do not answer within that many seconds are as if nobody had asked them."""
    if not lost:
        return
    await asyncio.wait(lost.values(), timeout=timeout)
    for task in lost.values():
        task.cancel()
    await asyncio.gather(*lost.values(), return_exceptions=True)
    for name in lost:
        host_state = connections.live_state.get(name)
        if isinstance(host_state, UnreachableHost) and not host_state.code:
            del connections.live_state[name]
    unanswered = [
        connections.by_host.pop(name)
        for name in lost.keys() & connections.by_host.keys() - connections.live_state.keys()
    ]
    await asyncio.gather(
        *(asyncio.wait_for(connection.close(), 0.5) for connection in unanswered), return_exceptions=True
    )


def _completed_future(fingerprints: Mapping[str, str]) -> "asyncio.Future[Mapping[str, str]]":
    completed: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
    completed.set_result(fingerprints)
    return completed


def _in_thread(work: Callable[[], Mapping[str, str]]) -> "asyncio.Future[Mapping[str, str]]":
    """Does it in a thread of its own, which holds nobody up who wants to leave."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Mapping[str, str]] = loop.create_future()

    def settle(set_outcome: Callable[..., None], outcome: object) -> None:
        if not future.done():
            set_outcome(outcome)

    def run() -> None:
        set_outcome: Callable[..., None] = future.set_result
        try:
            outcome: object = work()
        except BaseException as problem:
            set_outcome, outcome = future.set_exception, problem
        with suppress(RuntimeError):
            # The loop is closed where somebody left meanwhile.
            loop.call_soon_threadsafe(settle, set_outcome, outcome)

    threading.Thread(target=run, daemon=True).start()
    return future


async def _survey_host(
    connections: Connections,
    host: Host,
    connect: Connector,
    fleet: tuple[str, str, str],
    pending_fingerprints: "asyncio.Future[Mapping[str, str]]",
) -> None:
    start_time = time.monotonic()
    try:
        connection = connections.by_host[host.name] = await connect(host)
    except Failure as failure:
        connections.live_state[host.name] = _unreachable_host(host.name, failure)
        return
    fingerprints, asked_at = await pending_fingerprints, time.time()
    owner, mark, former_owner = fleet
    try:
        reply = await connection.survey(owner, mark, fingerprints, former_owner)
    except Failure as failure:
        connections.live_state[host.name] = _unreachable_host(host.name, failure)
        del connections.by_host[host.name]
        await connection.close()
        return
    survey = decode_survey(host.name, reply)
    connections.live_state[host.name] = replace(
        survey,
        skew=_clock_skew(survey.clock, asked_at, time.time()),
        took=time.monotonic() - start_time,
        round_trips=connection.round_trips,
        notes=tuple(connection.notes),
    )


def _clock_skew(clock: float, request_time: float, reply_time: float) -> float:
    """How far a clock that was read between two moments lies outside of them; negative: behind."""
    return min(0.0, clock - request_time) + max(0.0, clock - reply_time)


def _unreachable_host(host: str, failure: Failure) -> UnreachableHost:
    code = failure.kind if isinstance(failure, HostFailure) and failure.kind in _BLOCKING_KINDS else ""
    return UnreachableHost(
        host=host, reason=failure.summary.removeprefix(f"host {host}: "), hint=failure.hint, code=code
    )


async def resurvey(
    connections: Mapping[str, HostConnection],
    *,
    owner: str,
    mark: str,
    fingerprints: Mapping[str, str],
    former_owner: str = "",
) -> dict[str, Survey | UnreachableHost]:
    """A fresh survey over connections that are open."""

    async def survey_one(name: str, connection: HostConnection) -> Survey | UnreachableHost:
        try:
            return decode_survey(name, await connection.survey(owner, mark, fingerprints, former_owner))
        except Failure as failure:
            return _unreachable_host(name, failure)

    names = sorted(connections)
    host_states = await asyncio.gather(*(survey_one(name, connections[name]) for name in names))
    return dict(zip(names, host_states, strict=True))
