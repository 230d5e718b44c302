"""The progress of an apply as lines for a given moment. Pure: events and a clock reading in, lines out.

`region_lines` is redrawn on a screen; elsewhere `event_line` reports an event once and `heartbeat_lines` the steps
that
have been running for long.
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
    Progressed,
    Returning,
    Reverted,
    Skipped,
    Started,
    Told,
    Waiting,
)
from unictl.plan.model.step import Kind, Step
from unictl.views.text.apply_report import doing, undone
from unictl.views.text.layout import clean, elide, one, plain
from unictl.views.text.spans import Line, Span
from unictl.views.text.units import amount

HEARTBEAT = 10.0
"""Seconds between two lines about something that still runs, where there is no screen."""
EARLY = 0.5
"""Seconds within which a rate is a guess."""
STALLED = 5.0
"""Seconds after which bytes that do not move are told as that: a rate of before would be a promise."""
STOPPING = "Stopping: steps in flight end, no new one starts. Press Ctrl-C again to leave at once."

_DONE = {
    Kind.STAGE: "image is on",
    Kind.VOLUME: "volume created on",
    Kind.LAUNCH: "launched on",
    Kind.PROVE: "healthy on",
    Kind.JOIN: "behind the ingress of",
    Kind.LEAVE: "out of the ingress of",
    Kind.RETIRE: "taken down on",
    Kind.MARK: "noted on",
    Kind.DELETE: "volume deleted on",
    Kind.REMEMBER: "noted what was applied on",
    Kind.CLOSE: "the fleet has left it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A step in flight: since when, and how far it is in bytes, where that is known.

    ``first`` are the time and the bytes at which they began to move, ``at`` when they last did.
    """

    step: Step
    since: float
    done: int = 0
    total: int = 0
    text: str = ""
    first: tuple[float, int] = (0.0, 0)
    at: float = 0.0

    @property
    def rate(self) -> float:
        """Bytes a second so far; 0 while it is too early to tell."""
        took = self.at - self.first[0]
        return (self.done - self.first[1]) / took if took >= EARLY else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an apply is. ``steps`` counts what was to do at its beginning; ``fell`` are the failed steps by id."""

    began: float = 0.0
    steps: int = 0
    done: int = 0
    fell: Mapping[str, Step] = field(default_factory=dict)
    running: Mapping[str, Running] = field(default_factory=dict)
    waiting: str = ""
    stopping: bool = False


def advance(progress: Progress, event: Event) -> Progress:
    """The progress after one more event."""
    match event:
        case Began(at=at, steps=steps):
            return Progress(began=at, steps=steps, stopping=progress.stopping)
        case Started(at=at, step=step):
            return replace(progress, running={**progress.running, step.id: Running(step=step, since=at)}, waiting="")
        case Progressed(at=at, step=step):
            before = progress.running.get(step.id) or Running(step=step, since=at)
            first = before.first if before.total else (at, event.done)
            here = replace(before, done=event.done, total=event.total, text=event.text, first=first, at=at)
            return replace(progress, running={**progress.running, step.id: here})
        case Finished(step=step):
            return replace(progress, running=_without(progress, step), done=progress.done + 1)
        case Failed(step=step):
            return replace(progress, running=_without(progress, step), fell={**progress.fell, step.id: step})
        case Waiting(text=text):
            return replace(progress, waiting=text)
        case Interrupting():
            return replace(progress, stopping=True)
        case Ended():
            return replace(progress, running={}, waiting="")
        case Returning(steps=steps):
            return replace(progress, steps=progress.steps + steps)
        case Reverted() | Skipped() | Told():
            return progress


def told(progress: Progress, event: Event) -> Line | None:
    """What is said of an event once and for good; ``progress`` is the one before it."""
    match event:
        case Finished(at=at, step=step, text=text) if step.kind is not Kind.BARRIER:
            more = f" {clean(text)}" if text else ""
            return (*_finished(step), Span(f"{more} [{_took(progress, step, at)}]", "dim"))
        case Failed(step=step, problem=problem):
            why = clean(problem.summary).removeprefix(f"{clean(step.subject)}: ").removeprefix(f"host {step.host}: ")
            return (Span(f"{undone(step)}: ", "error"), Span(why))
        case Returning(service=service, cause=cause, blind=blind):
            why = undone(progress.fell[cause]) if cause in progress.fell else f"{clean(cause)} failed"
            what = "stops where it is, and what nobody was sent to is removed" if blind else "goes back to what it was"
            return one(f"{clean(service)} {what}, since {why}", "warning")
        case Waiting(text=text):
            return one(clean(text), "warning")
        case _:
            return None


def region(progress: Progress, now: float, width: int = 80, height: int = 12) -> tuple[Line, ...]:
    """What a screen shows below what was already said: a head line and what is in flight, oldest first."""
    shown = _in_flight(progress)
    room = max(1, height - 2)
    lines = [_running(each, now, width) for each in shown[:room]]
    more = [one(f"  and {len(shown) - room} more", "dim")] if len(shown) > room else []
    waiting = [one(elide(clean(progress.waiting), width), "warning")] if progress.waiting else []
    return (*waiting, *lines, *more, one(elide(_head(progress, now), width), "bold"))


def heartbeat(progress: Progress, now: float, width: int = 80) -> tuple[Line, ...]:
    """Lines for what still runs, oldest first: three at most, since what follows is read in a log."""
    if progress.waiting:
        return (one(f"Still waiting: {clean(progress.waiting)}", "dim"),)
    shown = _in_flight(progress)
    lines = [_still(each, now, width) for each in shown[:3]]
    more = [one(f"and {len(shown) - 3} more still running", "dim")] if len(shown) > 3 else []
    return (*lines, *more)


def elapsed(seconds: float) -> str:
    """``4s``, ``1m03s``, ``2h05m``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02d}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _in_flight(progress: Progress) -> list[Running]:
    running = [each for each in progress.running.values() if each.step.kind is not Kind.BARRIER]
    return sorted(running, key=lambda each: (each.since, each.step.id))


def _without(progress: Progress, step: Step) -> Mapping[str, Running]:
    return {key: each for key, each in progress.running.items() if key != step.id}


def _finished(step: Step) -> Line:
    subject = clean(step.subject or step.service or step.id)
    style = "destroy" if step.kind in (Kind.RETIRE, Kind.DELETE, Kind.CLOSE) else "create"
    done = "ended well on" if step.data.get("job") else _DONE[step.kind]
    done = "written anew on" if step.kind is Kind.JOIN and step.subject == "ingress" else done
    # A host that is left is both who is meant and where.
    where = "" if step.kind is Kind.CLOSE else f" {clean(step.host)}"
    return (Span(subject, style), Span(f": {done}{where}"))


def _took(progress: Progress, step: Step, at: float) -> str:
    running = progress.running.get(step.id)
    return elapsed(at - running.since) if running else "0s"


def _running(each: Running, now: float, width: int) -> Line:
    right = one(elapsed(now - each.since), "dim")
    left = elide(f"  {doing(each.step)}{_far(each, now)}", max(20, width - len(plain(right)) - 2))
    return (Span(left.ljust(max(0, width - len(plain(right))))), *right)


def _still(each: Running, now: float, width: int) -> Line:
    took = f" [{elapsed(now - each.since)}]"
    return one(elide(f"Still: {doing(each.step)}{_far(each, now)}", max(20, width - len(took))) + took, "dim")


def _far(each: Running, now: float) -> str:
    """How far, how fast, and how long still."""
    share = f" {min(100, 100 * each.done // each.total)}%" if each.total else ""
    return f"{share}{_pace(each, now)}{' ' + clean(each.text) if each.text else ''}"


def _pace(each: Running, now: float) -> str:
    if each.done >= each.total:
        return ""
    if now - each.at >= STALLED:
        return f", stalled for {elapsed(now - each.at)}"
    return f" {amount(int(each.rate))}/s, {elapsed((each.total - each.done) / each.rate + 1)} left" if each.rate else ""


def _head(progress: Progress, now: float) -> str:
    failed = f", {len(progress.fell)} failed" if progress.fell else ""
    stopping = "  Stopping; Ctrl-C again leaves at once." if progress.stopping else ""
    return f"{progress.done} of {progress.steps} steps done{failed} [{elapsed(now - progress.began)}]{stopping}"
