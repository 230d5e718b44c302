"""Leases on every touched host: all or none, in the order of host ids, so that two applies never deadlock."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from unictl.diagnostics.failure import Failure, Locked
from unictl.hosts.connection import HostConnection
from unictl.hosts.host_failures import HostFailure


async def acquire_all(
    connections: Mapping[str, HostConnection],
    host_ids: Mapping[str, str],
    *,
    fleet: Mapping[str, str],
    holder: Mapping[str, Any],
    timeout: float,
    waiting: Callable[[str], None],
) -> dict[str, int]:
    """Host name -> token. Locked, naming the holder, when one stays held for longer than ``timeout`` seconds.

    ``fleet`` holds owner, mark and id. Nothing stays held while one is waited for.
    """
    deadline = time.monotonic() + timeout
    order = sorted(connections, key=lambda name: host_ids[name])
    busy: str | None = None
    while True:
        tokens: dict[str, int] = {}
        patience = max(0.0, deadline - time.monotonic())
        try:
            for name in ([busy] if busy else []) + [host_name for host_name in order if host_name != busy]:
                tokens[name] = await connections[name].acquire_lease(
                    fleet["owner"], fleet["mark"], fleet["id"], holder, patience if name == busy else 0.0
                )
            return tokens
        except HostFailure as problem:
            await release_all({name: connections[name] for name in tokens}, fleet["owner"])
            if problem.kind != "busy":
                raise
            if time.monotonic() >= deadline:
                raise Locked(problem.summary, hint=problem.hint or "wait, or give -lock-timeout 5m") from None
            waiting(problem.summary)
            busy = name


async def release_all(connections: Mapping[str, HostConnection], owner: str) -> None:
    """Gives every lease back; a host that is gone has released it by itself."""

    async def release_one(connection: HostConnection) -> None:
        try:
            await connection.release_lease(owner)
        except Failure:
            return

    await asyncio.gather(*(release_one(leased) for leased in connections.values()))
