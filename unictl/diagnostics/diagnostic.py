"""A diagnostic: what is wrong, where, why, and what to do next. A value; it is never raised."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from unictl.diagnostics.place import Place


class Severity(Enum):
    """How bad: an error stops, a warning is only told."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One problem.

    ``code`` is stable and machine-readable (``unknown-key``); ``summary`` one sentence of what is wrong;
    ``detail`` why; ``hint`` what to do next; ``source`` the text of the line at ``place``;
    ``related`` further places that belong to it (the other declaration of a twin).
    """

    code: str
    summary: str
    severity: Severity = Severity.ERROR
    detail: str = ""
    hint: str = ""
    place: Place | None = None
    source: str = ""
    related: tuple[Place, ...] = ()


Problems = tuple[Diagnostic, ...]


def errors(problems: Iterable[Diagnostic]) -> Problems:
    """Only those that stop."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)
