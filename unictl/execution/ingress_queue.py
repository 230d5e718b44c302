"""Ingress membership of every host during an apply: the base, changed by the joins and leaves done so far.

Joins and leaves of one host that become ready at the same time are one reload: a step that arrives during a reload
waits for the next.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unictl.hosts.connection import HostConnection
from unictl.plan.ingress import members
from unictl.plan.model.ingress import Listeners, Membership
from unictl.plan.model.payloads import IngressData, SwapData
from unictl.plan.model.step import Step, StepKind


@dataclass(slots=True, kw_only=True)
class _HostQueue:
    """One host's ingress: its membership in force, and what waits to be put there."""

    services: dict[str, Listeners]
    waiting: list[tuple[Step, asyncio.Future[str]]] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class IngressBatcher:
    """The ingresses of one apply."""

    def __init__(self, owner: str, base: Mapping[str, Membership]):
        self._owner = owner
        self._queues = {host: _HostQueue(services=dict(services)) for host, services in base.items()}

    async def submit(self, step: Step, host: HostConnection) -> str:
        """Carries out a join or leave, together with whatever else waits on that host; a few words on it."""
        queue = self._queues.setdefault(step.host, _HostQueue(services={}))
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        queue.waiting.append((step, outcome))
        async with queue.lock:
            if not outcome.done():
                await self._flush(queue, host)
        return await outcome

    async def _flush(self, queue: _HostQueue, host: HostConnection) -> None:
        batch, queue.waiting = queue.waiting, []
        services = dict(queue.services)
        for step, _ in batch:
            services |= _changed_listeners(step, services)
        services = {service: listeners for service, listeners in services.items() if listeners}
        config_text = members.render_config(self._owner, services)
        drain = max((_drain_time(batched_step) for batched_step, _ in batch), default=0)
        try:
            digest, leaves = (
                members.config_digest(self._owner, services),
                all(batched_step.kind is StepKind.LEAVE for batched_step, _ in batch),
            )
            change = await host.apply_ingress(self._owner, config_text, digest, drain, _leaving_keys(batch), leaves)
        except BaseException as error:
            for _, outcome in batch:
                if not outcome.done():
                    outcome.set_exception(error)
            return
        queue.services = services
        for step, outcome in batch:
            undrained = step.kind is StepKind.LEAVE and not change.drained
            outcome.set_result("not every session ended in the drain time" if undrained else "")


def _changed_listeners(step: Step, services: Membership) -> Membership:
    """The services that a join or leave changes, as it leaves them."""
    if not isinstance(step.data, SwapData):
        return step.data_as(IngressData).services
    return {service: members.with_swap(services.get(service, ()), swap) for service, swap in step.data.swaps.items()}


def _drain_time(step: Step) -> int:
    return (step.data.drain or 0) if isinstance(step.data, IngressData | SwapData) else 0


def _leaving_keys(batch: Sequence[tuple[Step, Any]]) -> list[str]:
    """Who leaves, where all that is asked for is that a service goes back; else nobody: then the whole is written.

    What could not be joined (a port is taken) need not leave: then writing it would fail for the same reason.
    """
    swaps = [swap for step, _ in batch if isinstance(step.data, SwapData) for swap in step.data.swaps.values()]
    if len(swaps) < len(batch) or any(swap.joining for swap in swaps):
        return []
    return [key for swap in swaps for key in swap.leaving]
