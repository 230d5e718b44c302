"""The report of an apply, computed from its events. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import exit_code
from unictl.journal.event import Event, Failed, Finished, Interrupting, Outcome, Reverted, Skipped, Started
from unictl.plan.model.step import Step
from unictl.plan.progress.tracker import ServiceOutcome

GATE_FAILED = "step-prove-unhealthy"
"""The code of a proof that its gate judged: a host that fell silent meanwhile says nothing of the guest."""
ALREADY_PRESENT = "was there already"
"""What is said of an image that had not to be brought: it tells nothing of how long that takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done, what failed, what never started, what was taken back.

    ``done`` are steps of the way forth, ``rolled_back`` those of the way back, among them ``reverted``: each took a new
    generation down. ``outcomes`` say how it stands with the services of which not all was done. ``durations``: id of a
    done step -> seconds from its beginning to its end.
    """

    done: tuple[Step, ...] = ()
    failed: tuple[tuple[Step, Diagnostic], ...] = ()
    reverted: tuple[Step, ...] = ()
    rolled_back: tuple[Step, ...] = ()
    outcomes: tuple[ServiceOutcome, ...] = ()
    skipped: tuple[tuple[Step, str], ...] = ()
    in_flight: tuple[Step, ...] = ()
    interrupted: bool = False
    codes: tuple[int, ...] = field(default=())
    durations: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Every step ended well."""
        return not (self.failed or self.skipped or self.in_flight or self.interrupted)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The services of which a step failed, was taken back, hangs or never began: they may be of two kinds now."""
        broken = (*(step for step, _ in self.failed), *self.reverted, *(step for step, _ in self.skipped))
        return tuple(sorted({step.service for step in (*broken, *self.in_flight) if step.service}))

    @property
    def exit_code(self) -> int:
        """The process's exit code: the first, in the order of precedence, of all that hold."""
        return exit_code(self.all_exit_codes)

    @property
    def all_exit_codes(self) -> frozenset[int]:
        """Every exit code that holds: 130 interrupted, 8 taken back, 1 failed, not all taken back, ``codes``."""
        codes = set(self.codes)
        if self.interrupted:
            codes.add(130)
        if self.reverted:
            codes.add(8)
        elif self.failed or (self.in_flight and not self.interrupted):
            codes.add(1)
        if self.failed and any(outcome.is_mixed for outcome in self.outcomes):
            codes.add(1)
        return frozenset(codes)


def from_events(events: Iterable[Event], codes: tuple[int, ...] = ()) -> Report:
    """The Report of all events of one walk."""
    done: list[Step] = []
    failed: list[tuple[Step, Diagnostic]] = []
    reverted: list[Step] = []
    skipped: list[tuple[Step, str]] = []
    rolled_back: list[Step] = []
    outcomes: list[ServiceOutcome] = []
    running: dict[str, Step] = {}
    started_at: dict[str, float] = {}
    durations: dict[str, float] = {}
    interrupted = False
    for event in events:
        match event:
            case Started(at=at, step=step):
                running[step.id], started_at[step.id] = step, at
            case Finished(at=at, step=step, text=text):
                running.pop(step.id, None)
                (rolled_back if step.undo else done).append(step)
                if step.id in started_at and not step.undo and text != ALREADY_PRESENT:
                    durations[step.id] = at - started_at[step.id]
            case Failed(step=step, problem=problem):
                running.pop(step.id, None)
                failed.append((step, problem))
            case Reverted(step=step):
                reverted.append(step)
            case Outcome(outcome=mixture):
                outcomes.append(mixture)
            case Skipped(step=step, cause=cause):
                skipped.append((step, cause))
            case Interrupting():
                interrupted = True
            case _:
                pass
    return Report(
        done=tuple(done),
        failed=tuple(failed),
        reverted=tuple(reverted),
        rolled_back=tuple(rolled_back),
        outcomes=tuple(outcomes),
        skipped=tuple(skipped),
        in_flight=tuple(running.values()),
        interrupted=interrupted,
        codes=codes,
        durations=durations,
    )
