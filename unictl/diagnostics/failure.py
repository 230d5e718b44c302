"""The error tree: one class per consequence, its exit code on the class.

    Failure                 1   something went wrong; the text says what to do
      UsageFailure          1   the command line is off
      InvalidFleet          3   fix the fleet file (carries all problems)
      Stale                 4   plan again: what it read has moved
      Unreachable           5   a host is silent: make it answer, or mark it lost
      Refused               6   budget, policy, protection, capacity, a port that is taken
      Locked                7   wait: somebody else is at work
      RolledBack            8   the change was undone
      Interrupted         130   run the same command again

An exit code is never reused for two meanings.
"""

from collections.abc import Iterable
from typing import ClassVar

from unictl.diagnostics.diagnostic import Problems

PRECEDENCE = (130, 3, 7, 6, 4, 1, 8, 5, 2, 0)
"""When several hold, the first of these is the process's exit code."""


def exit_code(codes: Iterable[int]) -> int:
    """The one exit code of a run in which all of ``codes`` hold; 0 of none."""
    present_codes = set(codes)
    return next((code for code in PRECEDENCE if code in present_codes), 1 if present_codes else 0)


class Failure(Exception):
    """Something the user is told in a sentence, never with a traceback."""

    code: ClassVar[int] = 1

    def __init__(self, summary: str, *, hint: str = "", detail: str = "", problems: Problems = ()):
        super().__init__(summary)
        self.summary = summary
        self.hint = hint
        self.detail = detail
        self.problems = problems


class UsageFailure(Failure):
    """The command line cannot be understood."""


class InvalidFleet(Failure):
    """The fleet files cannot be used; ``problems`` holds every reason."""

    code: ClassVar[int] = 3


class Stale(Failure):
    """What a plan has read moved since; ``problems`` names what."""

    code: ClassVar[int] = 4


class Unreachable(Failure):
    """A host does not answer."""

    code: ClassVar[int] = 5


class Refused(Failure):
    """Budget, policy, protection, capacity or a claim of somebody else forbids it."""

    code: ClassVar[int] = 6


class Locked(Failure):
    """Somebody else holds the lease."""

    code: ClassVar[int] = 7


class RolledBack(Failure):
    """The change failed and was undone."""

    code: ClassVar[int] = 8


class Interrupted(Failure):
    """The user or the system asked to stop."""

    code: ClassVar[int] = 130
