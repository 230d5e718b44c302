"""Events of a running apply, one dataclass per kind. Values only; times are seconds of a monotonic clock."""

from dataclasses import dataclass

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.plan.model.step import Step
from unictl.plan.progress.tracker import ServiceOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The walk starts: how many steps there are to do."""

    at: float
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A step begins."""

    at: float
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """Part of a step is done: bytes sent, a drain waited for."""

    at: float
    step: Step
    done: int
    total: int
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A step ended well."""

    at: float
    step: Step
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A step did not end well; what depends on it will not start."""

    at: float
    step: Step
    problem: Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A step that will not run, because ``cause`` failed (or because of an interrupt: empty)."""

    at: float
    step: Step
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverted:
    """A new generation was taken back; ``step`` took it down."""

    at: float
    step: Step
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """A service goes back to what it was, since ``cause`` failed, in so many steps; they follow.

    ``is_partial``: not all the way, since a host does not answer any more; only what nobody was sent to is removed.
    """

    at: float
    service: str
    cause: str
    steps: int
    is_partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it stands, at the end, with a service of which not all was done."""

    at: float
    outcome: ServiceOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Something outside is waited for: a lease somebody else holds."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupting:
    """The user asked to stop: no new step starts, those in flight end."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The walk is over."""

    at: float


Event = (
    Began
    | Started
    | Progressed
    | Finished
    | Failed
    | Skipped
    | Reverted
    | Rollback
    | Outcome
    | Waiting
    | Interrupting
    | Ended
)
