"""The report of an apply, computed from its events. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import exit_code
from unictl.journal.event import Event, Failed, Finished, Interrupting, Reverted, Skipped, Started, Told
from unictl.plan.model.step import Step
from unictl.plan.progress.tracker import Mixture

UNHEALTHY = "step-prove-unhealthy"
"""The code of a proof that its gate judged: a host that fell silent meanwhile says nothing of the guest."""
ALREADY = "was there already"
"""What is said of an image that had not to be brought: it tells nothing of how long that takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done, what failed, what never started, what was taken back.

    ``done`` are steps of the way forth, ``returned`` those of the way back, among them ``reverted``: each took a new
    generation down. ``mixtures`` say how it stands with the services of which not all was done. ``took``: id of a
    done step -> seconds from its beginning to its end.
    """

    done: tuple[Step, ...] = ()
    failed: tuple[tuple[Step, Diagnostic], ...] = ()
    reverted: tuple[Step, ...] = ()
    returned: tuple[Step, ...] = ()
    mixtures: tuple[Mixture, ...] = ()
    skipped: tuple[tuple[Step, str], ...] = ()
    in_flight: tuple[Step, ...] = ()
    interrupted: bool = False
    codes: tuple[int, ...] = field(default=())
    took: Mapping[str, float] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
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
        return exit_code(self.held)

    @property
    def held(self) -> frozenset[int]:
        """Every exit code that holds: 130 interrupted, 8 taken back, 1 failed, not all taken back, ``codes``."""
        found = set(self.codes)
        if self.interrupted:
            found.add(130)
        if self.reverted:
            found.add(8)
        elif self.failed or (self.in_flight and not self.interrupted):
            found.add(1)
        if self.failed and any(each.mixed for each in self.mixtures):
            found.add(1)
        return frozenset(found)


def fold(events: Iterable[Event], codes: tuple[int, ...] = ()) -> Report:
    """The Report of all events of one walk."""
    done: list[Step] = []
    failed: list[tuple[Step, Diagnostic]] = []
    reverted: list[Step] = []
    skipped: list[tuple[Step, str]] = []
    returned: list[Step] = []
    mixtures: list[Mixture] = []
    running: dict[str, Step] = {}
    began: dict[str, float] = {}
    took: dict[str, float] = {}
    interrupted = False
    for event in events:
        match event:
            case Started(at=at, step=step):
                running[step.id], began[step.id] = step, at
            case Finished(at=at, step=step, text=text):
                running.pop(step.id, None)
                (returned if step.undo else done).append(step)
                if step.id in began and not step.undo and text != ALREADY:
                    took[step.id] = at - began[step.id]
            case Failed(step=step, problem=problem):
                running.pop(step.id, None)
                failed.append((step, problem))
            case Reverted(step=step):
                reverted.append(step)
            case Told(mixture=mixture):
                mixtures.append(mixture)
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
        returned=tuple(returned),
        mixtures=tuple(mixtures),
        skipped=tuple(skipped),
        in_flight=tuple(running.values()),
        interrupted=interrupted,
        codes=codes,
        took=took,
    )
