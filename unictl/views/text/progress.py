"""The progress of an apply as lines for a given moment. Pure: events and a clock reading in, lines out.

`region_lines` is redrawn on a screen; elsewhere `event_line` reports an event once and `heartbeat_lines` the steps
that have been running for long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from unictl.journal.event import (
    Began,
    Ended,
    Event,
    Failed,
    Finished,
    Interrupting,
    Outcome,
    Progressed,
    Reverted,
    Rollback,
    Skipped,
    Started,
    Waiting,
)
from unictl.plan.model.step import Step
from unictl.plan.model.step_traits import Subject
from unictl.views.text.apply_report import describe_failure, describe_step
from unictl.views.text.layout import elide, plain_text, sanitize, styled_line
from unictl.views.text.spans import Line, Span
from unictl.views.text.units import byte_size

HEARTBEAT = 10.0
"""Seconds between two lines about something that still runs, where there is no screen."""
MIN_RATE_SECONDS = 0.5
"""Seconds within which a rate is a guess."""
STALLED_AFTER = 5.0
"""Seconds after which bytes that do not move are told as that: a rate of before would be a promise."""
STOPPING = "Stopping: steps in flight end, no new one starts. Press Ctrl-C again to leave at once."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStep:
    """A step in flight: since when, and how far it is in bytes, where that is known.

    ``first_bytes`` are the time and the bytes at which they began to move, ``last_change`` when they last did.
    """

    step: Step
    since: float
    done: int = 0
    total: int = 0
    text: str = ""
    first_bytes: tuple[float, int] = (0.0, 0)
    last_change: float = 0.0

    @property
    def rate(self) -> float:
        """Bytes a second so far; 0 while it is too early to tell."""
        took = self.last_change - self.first_bytes[0]
        return (self.done - self.first_bytes[1]) / took if took >= MIN_RATE_SECONDS else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an apply is.

    ``steps`` counts what was to do at its beginning; ``failed_steps`` are the failed steps by id.
    """

    started_at: float = 0.0
    steps: int = 0
    done: int = 0
    failed_steps: Mapping[str, Step] = field(default_factory=dict)
    running: Mapping[str, RunningStep] = field(default_factory=dict)
    waiting: str = ""
    is_stopping: bool = False


def advance(progress: Progress, event: Event) -> Progress:
    """The progress after one more event."""
    match event:
        case Began(at=at, steps=steps):
            return Progress(started_at=at, steps=steps, is_stopping=progress.is_stopping)
        case Started(at=at, step=step):
            return replace(
                progress, running={**progress.running, step.id: RunningStep(step=step, since=at)}, waiting=""
            )
        case Progressed(at=at, step=step):
            before = progress.running.get(step.id) or RunningStep(step=step, since=at)
            first = before.first_bytes if before.total else (at, event.done)
            updated = replace(
                before, done=event.done, total=event.total, text=event.text, first_bytes=first, last_change=at
            )
            return replace(progress, running={**progress.running, step.id: updated})
        case Finished(step=step):
            return replace(progress, running=_running_without(progress, step), done=progress.done + 1)
        case Failed(step=step):
            return replace(
                progress,
                running=_running_without(progress, step),
                failed_steps={**progress.failed_steps, step.id: step},
            )
        case Waiting(text=text):
            return replace(progress, waiting=text)
        case Interrupting():
            return replace(progress, is_stopping=True)
        case Ended():
            return replace(progress, running={}, waiting="")
        case Rollback(steps=steps):
            return replace(progress, steps=progress.steps + steps)
        case Reverted() | Skipped() | Outcome():
            return progress


def event_line(progress: Progress, event: Event) -> Line | None:
    """What is said of an event once and for good; ``progress`` is the one before it."""
    match event:
        case Finished(at=at, step=step, text=text) if step.traits.acts:
            note = f" {sanitize(text)}" if text else ""
            return (*_finished_line(step), Span(f"{note} [{_step_elapsed(progress, step, at)}]", "dim"))
        case Failed(step=step, problem=problem):
            reason = (
                sanitize(problem.summary)
                .removeprefix(f"{sanitize(step.subject)}: ")
                .removeprefix(f"host {step.host}: ")
            )
            return (Span(f"{describe_failure(step)}: ", "error"), Span(reason))
        case Rollback(service=service, cause=cause, is_partial=blind):
            reason = (
                describe_failure(progress.failed_steps[cause])
                if cause in progress.failed_steps
                else f"{sanitize(cause)} failed"
            )
            consequence = (
                "stops where it is, and what nobody was sent to is removed" if blind else "goes back to what it was"
            )
            return styled_line(f"{sanitize(service)} {consequence}, since {reason}", "warning")
        case Waiting(text=text):
            return styled_line(sanitize(text), "warning")
        case _:
            return None


def region_lines(progress: Progress, current_time: float, width: int = 80, height: int = 12) -> tuple[Line, ...]:
    """What a screen shows below what was already said: a head line and what is in flight, oldest first."""
    shown = _in_flight(progress)
    room = max(1, height - 2)
    lines = [_running_line(running_step, current_time, width) for running_step in shown[:room]]
    more_lines = [styled_line(f"  and {len(shown) - room} more", "dim")] if len(shown) > room else []
    waiting = [styled_line(elide(sanitize(progress.waiting), width), "warning")] if progress.waiting else []
    return (*waiting, *lines, *more_lines, styled_line(elide(_head_line(progress, current_time), width), "bold"))


def heartbeat_lines(progress: Progress, current_time: float, width: int = 80) -> tuple[Line, ...]:
    """Lines for what still runs, oldest first: three at most, since what follows is read in a log."""
    if progress.waiting:
        return (styled_line(f"Still waiting: {sanitize(progress.waiting)}", "dim"),)
    shown = _in_flight(progress)
    lines = [_heartbeat_line(running_step, current_time, width) for running_step in shown[:3]]
    more_lines = [styled_line(f"and {len(shown) - 3} more still running", "dim")] if len(shown) > 3 else []
    return (*lines, *more_lines)


def elapsed_text(seconds: float) -> str:
    """``4s``, ``1m03s``, ``2h05m``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02d}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _in_flight(progress: Progress) -> list[RunningStep]:
    running = [running_step for running_step in progress.running.values() if running_step.step.traits.acts]
    return sorted(running, key=lambda running_step: (running_step.since, running_step.step.id))


def _running_without(progress: Progress, step: Step) -> Mapping[str, RunningStep]:
    return {key: running_step for key, running_step in progress.running.items() if key != step.id}


def _finished_line(step: Step) -> Line:
    subject = sanitize(step.subject or step.service or step.id)
    style = "destroy" if step.traits.style == "destroy" else "create"
    # A host that is left is both who is meant and where.
    where = "" if step.traits.subject is Subject.HOST else f" {sanitize(step.host)}"
    return (Span(subject, style), Span(f": {step.words.done}{where}"))


def _step_elapsed(progress: Progress, step: Step, at: float) -> str:
    running = progress.running.get(step.id)
    return elapsed_text(at - running.since) if running else "0s"


def _running_line(running_step: RunningStep, current_time: float, width: int) -> Line:
    elapsed_line = styled_line(elapsed_text(current_time - running_step.since), "dim")
    description = elide(
        f"  {describe_step(running_step.step)}{_progress_text(running_step, current_time)}",
        max(20, width - len(plain_text(elapsed_line)) - 2),
    )
    return (Span(description.ljust(max(0, width - len(plain_text(elapsed_line))))), *elapsed_line)


def _heartbeat_line(running_step: RunningStep, current_time: float, width: int) -> Line:
    elapsed_suffix = f" [{elapsed_text(current_time - running_step.since)}]"
    return styled_line(
        elide(
            f"Still: {describe_step(running_step.step)}{_progress_text(running_step, current_time)}",
            max(20, width - len(elapsed_suffix)),
        )
        + elapsed_suffix,
        "dim",
    )


def _progress_text(running_step: RunningStep, current_time: float) -> str:
    """How far, how fast, and how long still."""
    share = f" {min(100, 100 * running_step.done // running_step.total)}%" if running_step.total else ""
    remark = f" {sanitize(running_step.text)}" if running_step.text else ""
    return f"{share}{_rate_text(running_step, current_time)}{remark}"


def _rate_text(running_step: RunningStep, current_time: float) -> str:
    if running_step.done >= running_step.total:
        return ""
    if current_time - running_step.last_change >= STALLED_AFTER:
        return f", stalled for {elapsed_text(current_time - running_step.last_change)}"
    if not running_step.rate:
        return ""
    seconds_left = (running_step.total - running_step.done) / running_step.rate + 1
    return f" {byte_size(int(running_step.rate))}/s, {elapsed_text(seconds_left)} left"


def _head_line(progress: Progress, current_time: float) -> str:
    failed = f", {len(progress.failed_steps)} failed" if progress.failed_steps else ""
    stopping = "  Stopping; Ctrl-C again leaves at once." if progress.is_stopping else ""
    elapsed = elapsed_text(current_time - progress.started_at)
    return f"{progress.done} of {progress.steps} steps done{failed} [{elapsed}]{stopping}"
