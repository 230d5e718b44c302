"""Walks the plan's step graph: starts ready steps, continues with independent branches after a failure, stops on
request.

Launches that are ready on one host at the same time are sent in one message. What is ready, what is skipped and
how a service is rolled back is decided by ``plan.progress``; this module decides only when.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Failure, Unreachable
from unictl.execution.ingress_queue import Board
from unictl.execution.step_runner import NOT_THERE, Tools, Unhealthy, act, launch
from unictl.hosts.host import Host as Connection
from unictl.hosts.host import HostProblem
from unictl.journal.event import (
    Began,
    Ended,
    Event,
    Failed,
    Finished,
    Interrupting,
    Returning,
    Reverted,
    Skipped,
    Started,
    Told,
)
from unictl.journal.report import UNHEALTHY
from unictl.plan.model.step import Kind, Step
from unictl.plan.progress.tracker import Course

POLL = 0.1
"""Seconds between looks at the interrupt counter, which a signal handler raises."""


class Interrupts(Protocol):
    """How often the user asked to stop."""

    count: int


@dataclass(slots=True, kw_only=True)
class Walk:
    """One walk over a plan; ``emit`` hears every event in order."""

    course: Course
    connections: Mapping[str, Connection]
    board: Board
    tools: Tools
    emit: Callable[[Event], None]
    interrupts: Interrupts
    parallelism: int = 10
    _running: dict[asyncio.Task[None], int] = field(default_factory=dict)
    _stopping: bool = False

    async def run(self) -> None:
        """Until every step ended, failed or was skipped, and what failed went back."""
        self.emit(Began(at=time.monotonic(), steps=len(self.course.steps)))
        while True:
            self._look_for_interrupt()
            if not self._stopping:
                self._return()
                self._start_ready()
            if not self._running:
                break
            done, _ = await asyncio.wait(self._running, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._running[task]
                task.result()
        for step in self.course.left():
            self.emit(Skipped(at=time.monotonic(), step=step, cause=""))
        for mixture in self.course.mixtures():
            self.emit(Told(at=time.monotonic(), mixture=mixture))
        self.emit(Ended(at=time.monotonic()))

    def _look_for_interrupt(self) -> None:
        if self.interrupts.count and not self._stopping:
            self._stopping = True
            self.emit(Interrupting(at=time.monotonic()))

    def _return(self) -> None:
        for service, cause, steps in self.course.returning():
            blind = self.course.blind(service)
            self.emit(Returning(at=time.monotonic(), service=service, cause=cause, steps=len(steps), blind=blind))

    def _start_ready(self) -> None:
        ready = self.course.ready()
        room = self.parallelism - sum(self._running.values())
        proofs = [step for step in ready if step.kind is Kind.PROVE]
        acts = [step for step in ready if step.kind is not Kind.PROVE][: max(0, room)]
        launches: dict[str, list[Step]] = defaultdict(list)
        for step in (*proofs, *acts):
            self.course.begin(step.id)
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
        except Exception as error:
            failure = _told(error)
            self._failed(step, _problem(step, failure), silent=_out_of_sight(failure))
            return
        self._finished(step, text)

    async def _launch(self, batch: Sequence[Step]) -> None:
        for step in batch:
            self.emit(Started(at=time.monotonic(), step=step))
        silent = False
        try:
            problems = await launch(list(batch), self.connections[batch[0].host], self.tools)
        except Exception as error:
            failure = _told(error)
            silent = _out_of_sight(failure)
            problems = {step.id: _problem(step, failure) for step in batch}
        for step in batch:
            problem = problems[step.id]
            if problem is not None:
                self._failed(step, problem, silent=silent)
            else:
                self._finished(step)

    def _finished(self, step: Step, text: str = "") -> None:
        self.emit(Finished(at=time.monotonic(), step=step, text=text))
        if step.undo and step.kind is Kind.RETIRE and text != NOT_THERE:
            self.emit(Reverted(at=time.monotonic(), step=step, text=f"{step.subject} was removed again"))
        self.course.end(step.id)

    def _failed(self, step: Step, problem: Diagnostic, *, silent: bool) -> None:
        self.emit(Failed(at=time.monotonic(), step=step, problem=problem))
        for skipped, cause in self.course.fail(step.id, silent=silent):
            self.emit(Skipped(at=time.monotonic(), step=skipped, cause=cause))


def _told(error: Exception) -> Failure:
    """What a step failed by. A fault of ours must not take the others' leases away: it fails its step, and no more."""
    if isinstance(error, Failure):
        return error
    return Failure(f"unexpected {type(error).__name__}: {error}", hint="this is a bug in unictl: report it")


def _out_of_sight(failure: Failure) -> bool:
    """Whether nothing is known any more of what is on the host: it is silent, or was somebody else's meanwhile."""
    return isinstance(failure, Unreachable) or (isinstance(failure, HostProblem) and failure.kind == "lost-lease")


def _problem(step: Step, failure: Failure) -> Diagnostic:
    return Diagnostic(
        code=UNHEALTHY if isinstance(failure, Unhealthy) else f"step-{step.kind.value}-failed",
        summary=f"{step.subject or step.id}: {failure.summary}",
        detail=failure.detail,
        hint=failure.hint,
    )
