"""Walks the plan's step graph: starts ready steps, continues with independent branches after a failure, stops on
request.

Launches that are ready on one host at the same time are sent in one message. What is ready, what is skipped and how
a service is rolled back is decided by ``plan.progress``; this module decides only when.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Failure, Unreachable
from unictl.execution.ingress_queue import IngressBatcher
from unictl.execution.step_runner import ALREADY_GONE, StepContext, UnhealthyFailure, launch_instances, run_step
from unictl.hosts.connection import HostConnection
from unictl.hosts.host_failures import HostFailure
from unictl.journal.event import (
    Began,
    Ended,
    Event,
    Failed,
    Finished,
    Interrupting,
    Outcome,
    Reverted,
    Rollback,
    Skipped,
    Started,
)
from unictl.journal.report import GATE_FAILED
from unictl.plan.model.step import Step, StepKind
from unictl.plan.progress.tracker import RolloutTracker

POLL_INTERVAL = 0.1
"""Seconds between looks at the interrupt counter, which a signal handler raises."""


class Interrupts(Protocol):
    """How often the user asked to stop."""

    count: int


@dataclass(slots=True, kw_only=True)
class PlanWalk:
    """One walk over a plan; ``emit`` hears every event in order."""

    tracker: RolloutTracker
    connections: Mapping[str, HostConnection]
    ingress: IngressBatcher
    context: StepContext
    emit: Callable[[Event], None]
    interrupts: Interrupts
    parallelism: int = 10
    _running: dict[asyncio.Task[None], int] = field(default_factory=dict)
    _stopping: bool = False

    async def run(self) -> None:
        """Until every step ended, failed or was skipped, and what failed went back."""
        self.emit(Began(at=time.monotonic(), steps=len(self.tracker.steps)))
        while True:
            self._check_interrupt()
            if not self._stopping:
                self._start_rollbacks()
                self._start_ready()
            if not self._running:
                break
            done, _ = await asyncio.wait(self._running, timeout=POLL_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._running[task]
                task.result()
        for step in self.tracker.not_started():
            self.emit(Skipped(at=time.monotonic(), step=step, cause=""))
        for mixture in self.tracker.service_outcomes():
            self.emit(Outcome(at=time.monotonic(), outcome=mixture))
        self.emit(Ended(at=time.monotonic()))

    def _check_interrupt(self) -> None:
        if self.interrupts.count and not self._stopping:
            self._stopping = True
            self.emit(Interrupting(at=time.monotonic()))

    def _start_rollbacks(self) -> None:
        for service, cause, steps in self.tracker.rollbacks_due():
            blind = self.tracker.is_partial_rollback(service)
            self.emit(Rollback(at=time.monotonic(), service=service, cause=cause, steps=len(steps), is_partial=blind))

    def _start_ready(self) -> None:
        ready = self.tracker.ready()
        free_slots = self.parallelism - sum(self._running.values())
        gate_steps = [step for step in ready if step.traits.only_waits]
        other_steps = [step for step in ready if not step.traits.only_waits][: max(0, free_slots)]
        launches: dict[str, list[Step]] = defaultdict(list)
        for step in (*gate_steps, *other_steps):
            self.tracker.start(step.id)
            if step.kind is StepKind.LAUNCH:
                launches[step.host].append(step)
            else:
                self._start_task(self._run_one(step), 0 if step.traits.only_waits else 1)
        for batch in launches.values():
            self._start_task(self._run_launches(batch), len(batch))

    def _start_task(self, work: Coroutine[None, None, None], weight: int) -> None:
        self._running[asyncio.ensure_future(work)] = weight

    async def _run_one(self, step: Step) -> None:
        self.emit(Started(at=time.monotonic(), step=step))
        try:
            host = self.connections[step.host]
            is_batched = step.traits.writes_ingress
            text = await (self.ingress.submit(step, host) if is_batched else run_step(step, host, self.context))
        except Exception as error:
            failure = _as_failure(error)
            self._record_failed(step, _step_problem(step, failure), silent=_is_state_unknown(failure))
            return
        self._record_finished(step, text)

    async def _run_launches(self, batch: Sequence[Step]) -> None:
        for step in batch:
            self.emit(Started(at=time.monotonic(), step=step))
        silent = False
        try:
            problems = await launch_instances(list(batch), self.connections[batch[0].host], self.context)
        except Exception as error:
            failure = _as_failure(error)
            silent = _is_state_unknown(failure)
            problems = {step.id: _step_problem(step, failure) for step in batch}
        for step in batch:
            problem = problems[step.id]
            if problem is not None:
                self._record_failed(step, problem, silent=silent)
            else:
                self._record_finished(step)

    def _record_finished(self, step: Step, text: str = "") -> None:
        self.emit(Finished(at=time.monotonic(), step=step, text=text))
        if step.undo and step.kind is StepKind.RETIRE and text != ALREADY_GONE:
            self.emit(Reverted(at=time.monotonic(), step=step, text=f"{step.subject} was removed again"))
        self.tracker.succeed(step.id)

    def _record_failed(self, step: Step, problem: Diagnostic, *, silent: bool) -> None:
        self.emit(Failed(at=time.monotonic(), step=step, problem=problem))
        for skipped, cause in self.tracker.fail(step.id, unreachable=silent):
            self.emit(Skipped(at=time.monotonic(), step=skipped, cause=cause))


def _as_failure(error: Exception) -> Failure:
    """What a step failed by. A fault of ours must not take the others' leases away: it fails its step, and no more."""
    if isinstance(error, Failure):
        return error
    return Failure(f"unexpected {type(error).__name__}: {error}", hint="this is a bug in unictl: report it")


def _is_state_unknown(failure: Failure) -> bool:
    """Whether nothing is known any more of what is on the host: it is silent, or was somebody else's meanwhile."""
    return isinstance(failure, Unreachable) or (isinstance(failure, HostFailure) and failure.kind == "lost-lease")


def _step_problem(step: Step, failure: Failure) -> Diagnostic:
    return Diagnostic(
        code=GATE_FAILED if isinstance(failure, UnhealthyFailure) else f"step-{step.kind.value}-failed",
        summary=f"{step.subject or step.id}: {failure.summary}",
        detail=failure.detail,
        hint=failure.hint,
    )
