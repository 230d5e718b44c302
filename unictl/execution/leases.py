"""Leases on every touched host: all or none, in the order of host ids, so that two applies never deadlock."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from unictl.diagnostics.failure import Failure, Locked
from unictl.hosts.connection import HostConnection
from unictl.hosts.host_failures import HostFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """Whose lease is acquired, and for whom: what other users see while it is held."""

    owner: str
    """The fleet's owner, ``shop-5f0c2a``."""
    mark: str
    """The fleet's name with its environment, ``shop@staging``."""
    fleet_id: str
    """The fleet's id, which tells it from another fleet of its name."""
    user: str
    """The user that runs the apply, ``ann@desk``."""
    revision: str
    """The commit that is applied."""
    doing: str = "apply"
    """What the lease is held for."""


async def acquire_all(
    connections: Mapping[str, HostConnection],
    host_ids: Mapping[str, str],
    *,
    request: LeaseRequest,
    timeout: float,
    waiting: Callable[[str], None],
) -> dict[str, int]:
    """Host name -> token. Locked, naming the holder, when one stays held for longer than ``timeout`` seconds.

    Nothing stays held while one is waited for.
    """
    holder = {"user": request.user, "revision": request.revision, "doing": request.doing}
    deadline = time.monotonic() + timeout
    order = sorted(connections, key=lambda name: host_ids[name])
    busy: str | None = None
    while True:
        tokens: dict[str, int] = {}
        patience = max(0.0, deadline - time.monotonic())
        try:
            for name in ([busy] if busy else []) + [host_name for host_name in order if host_name != busy]:
                tokens[name] = await connections[name].acquire_lease(
                    request.owner, request.mark, request.fleet_id, holder, patience if name == busy else 0.0
                )
            return tokens
        except HostFailure as problem:
            await release_all({name: connections[name] for name in tokens}, request.owner)
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
