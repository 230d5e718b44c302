"""Walks the plan's graph: starts what is ready, goes on with independent branches after a failure, stops on request.

Launches that are ready on one host at one moment travel in one message. What a step's failure leaves behind of a new
generation is retired again at once; the old one was never touched.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Failure
from unictl.execution.act import Tools, act, launch
from unictl.execution.board import Board
from unictl.hosts.host import Host as Connection
from unictl.journal.event import Began, Ended, Event, Failed, Finished, Interrupting, Reverted, Skipped, Started
from unictl.plan.step import Kind, Step

POLL = 0.1
"""Seconds between looks at the interrupt counter, which a signal handler raises."""


class Interrupts(Protocol):
    """How often the user asked to stop."""

    count: int


@dataclass(slots=True, kw_only=True)
class Walk:
    """One walk over ``steps``; ``emit`` hears every event in order."""

    steps: Mapping[str, Step]
    connections: Mapping[str, Connection]
    board: Board
    tools: Tools
    emit: Callable[[Event], None]
    interrupts: Interrupts
    parallelism: int = 10
    _left: dict[str, int] = field(default_factory=dict)
    _after: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _ready: list[str] = field(default_factory=list)
    _running: dict[asyncio.Task[None], int] = field(default_factory=dict)
    _over: set[str] = field(default_factory=set)
    _stopping: bool = False

    async def run(self) -> None:
        """Until every step ended, failed or was skipped."""
        self._prepare()
        self.emit(Began(at=time.monotonic(), steps=len(self.steps)))
        while self._ready or self._running:
            self._look_for_interrupt()
            if not self._stopping:
                self._start_ready()
            if not self._running:
                break
            done, _ = await asyncio.wait(self._running, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._running[task]
                task.result()
        for step in self.steps.values():
            if step.id not in self._over and step.kind is not Kind.BARRIER:
                self.emit(Skipped(at=time.monotonic(), step=step, cause=""))
        self.emit(Ended(at=time.monotonic()))

    def _prepare(self) -> None:
        for step in self.steps.values():
            self._left[step.id] = len(step.needs)
            for need in step.needs:
                self._after[need].append(step.id)
        self._ready = [step.id for step in self.steps.values() if not step.needs]

    def _look_for_interrupt(self) -> None:
        if self.interrupts.count and not self._stopping:
            self._stopping = True
            self.emit(Interrupting(at=time.monotonic()))

    def _start_ready(self) -> None:
        while True:
            barriers = [i for i in self._ready if self.steps[i].kind is Kind.BARRIER]
            if not barriers:
                break
            for each in barriers:
                self._ready.remove(each)
                self._done(self.steps[each])
        room = self.parallelism - sum(self._running.values())
        proofs = [i for i in self._ready if self.steps[i].kind is Kind.PROVE]
        acts = [i for i in self._ready if self.steps[i].kind is not Kind.PROVE][: max(0, room)]
        chosen = {*proofs, *acts}
        self._ready = [i for i in self._ready if i not in chosen]
        launches: dict[str, list[Step]] = defaultdict(list)
        for step in (self.steps[i] for i in (*proofs, *acts)):
            if step.kind is Kind.LAUNCH:
                launches[step.host].append(step)
            else:
                self._begin(self._one(step), 0 if step.kind is Kind.PROVE else 1)
        for batch in launches.values():
            self._begin(self._launch(batch), len(batch))

    def _begin(self, work: Coroutine[None, None, None], weight: int) -> None:
        self._running[asyncio.ensure_future(work)] = weight

    async def _one(self, step: Step) -> None:
        self.emit(Started(at=time.monotonic(), step=step))
        try:
            host = self.connections[step.host]
            joins = step.kind in (Kind.JOIN, Kind.LEAVE)
            text = await (self.board.put(step, host) if joins else act(step, host, self.tools))
        except Failure as failure:
            await self._failed(step, _problem(step, failure))
            return
        self.emit(Finished(at=time.monotonic(), step=step, text=text))
        self._done(step)

    async def _launch(self, batch: list[Step]) -> None:
        for step in batch:
            self.emit(Started(at=time.monotonic(), step=step))
        try:
            problems = await launch(batch, self.connections[batch[0].host], self.tools)
        except Failure as failure:
            problems = {step.id: _problem(step, failure) for step in batch}
        for step in batch:
            problem = problems[step.id]
            if problem is not None:
                await self._failed(step, problem)
                continue
            self.emit(Finished(at=time.monotonic(), step=step))
            self._done(step)

    def _done(self, step: Step) -> None:
        self._over.add(step.id)
        for each in self._after[step.id]:
            self._left[each] -= 1
            if not self._left[each] and each not in self._over:
                self._ready.append(each)

    async def _failed(self, step: Step, problem: Diagnostic) -> None:
        self._over.add(step.id)
        self.emit(Failed(at=time.monotonic(), step=step, problem=problem))
        self._skip_after(step)
        if step.kind in (Kind.LAUNCH, Kind.PROVE):
            await self._revert(step)

    def _skip_after(self, failed: Step) -> None:
        stack = list(self._after[failed.id])
        while stack:
            each = self.steps[stack.pop()]
            if each.id in self._over:
                continue
            self._over.add(each.id)
            stack += self._after[each.id]
            if each.kind is not Kind.BARRIER:
                self.emit(Skipped(at=time.monotonic(), step=each, cause=failed.id))

    async def _revert(self, step: Step) -> None:
        """Retires what a failed launch or proof left of the new generation; a refused launch left nothing."""
        document = step.data.get("document")
        key = f"{document['name']}.{document['generation']}" if document else step.data["key"]
        try:
            there = await self.connections[step.host].retire(self.tools.owner, key, 0, step.data.get("keep", 5))
        except Failure:
            return
        if there:
            self.emit(Reverted(at=time.monotonic(), step=step, text=f"{key} was removed again"))


def _problem(step: Step, failure: Failure) -> Diagnostic:
    return Diagnostic(
        code=f"step-{step.kind.value}-failed",
        summary=f"{step.subject or step.id}: {failure.summary}",
        detail=failure.detail,
        hint=failure.hint,
    )
