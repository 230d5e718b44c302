"""Ingress membership of every host during an apply: the base, changed by the joins and leaves done so far.

Joins and leaves of one host that become ready at the same time are one reload: a step that arrives during a
reload waits for the next.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unictl.hosts.host import Host as Connection
from unictl.plan.ingress import members
from unictl.plan.model.step import Kind, Step


@dataclass(slots=True, kw_only=True)
class _Desk:
    """One host's ingress: its membership in force, and what waits to be put there."""

    services: dict[str, Any]
    waiting: list[tuple[Step, asyncio.Future[str]]] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Board:
    """The ingresses of one apply."""

    def __init__(self, owner: str, base: Mapping[str, Mapping[str, Any]]):
        self._owner = owner
        self._desks = {host: _Desk(services=dict(services)) for host, services in base.items()}

    async def put(self, step: Step, host: Connection) -> str:
        """Carries out a join or leave, together with whatever else waits on that host; a few words on it."""
        desk = self._desks.setdefault(step.host, _Desk(services={}))
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        desk.waiting.append((step, told))
        async with desk.lock:
            if not told.done():
                await self._flush(desk, host)
        return await told

    async def _flush(self, desk: _Desk, host: Connection) -> None:
        batch, desk.waiting = desk.waiting, []
        wished = dict(desk.services)
        for step, _ in batch:
            wished.update(step.data.get("services", {}))
            for service, swap in step.data.get("swap", {}).items():
                wished[service] = members.swapped(wished.get(service, ()), swap)
        wished = {service: listeners for service, listeners in wished.items() if listeners}
        text = members.compose(self._owner, wished)
        drain = max((s.data.get("drain", 0) for s, _ in batch if s.kind is Kind.LEAVE), default=0)
        try:
            digest, leaves = members.digest(self._owner, wished), all(s.kind is Kind.LEAVE for s, _ in batch)
            answer = await host.ingress(self._owner, text, digest, drain, _out(batch), leaves)
        except BaseException as error:
            for _, told in batch:
                if not told.done():
                    told.set_exception(error)
            return
        desk.services = wished
        for step, told in batch:
            undrained = step.kind is Kind.LEAVE and not answer.get("drained", True)
            told.set_result("not every session ended in the drain time" if undrained else "")


def _out(batch: Sequence[tuple[Step, Any]]) -> list[str]:
    """Who leaves, where all that is asked for is that a service goes back; else nobody: then the whole is written.

    What could not be joined (a port is taken) need not leave: then writing it would fail for the same reason.
    """
    swaps = [swap for step, _ in batch for swap in step.data.get("swap", {}).values()]
    if len(swaps) < len(batch) or any(swap["in"] for swap in swaps):
        return []
    return [key for swap in swaps for key in swap["out"]]
