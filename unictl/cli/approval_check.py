"""Compare a plan with the approved hashes: refuse to apply any change that was not approved."""

import re
from pathlib import Path

from unictl.cli.arguments import Arguments
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Stale, UsageFailure
from unictl.plan.file import approval
from unictl.plan.model.plan import Plan
from unictl.views.text import fold

_HINT = "have the new plan read: unictl plan -out FILE shows it, and its approval hash"


def expected(arguments: Arguments) -> frozenset[str]:
    """All hashes of ``-expect-hash``: as they were given, or of a plan file and each of its rows."""
    return frozenset().union(*(_hashes(given) for given in arguments.expect_hash))


def check(made: Plan, hashes: frozenset[str]) -> None:
    """Stale where the plan would do what is in none of ``hashes``; nothing where no hash was given."""
    beyond = approval.unapproved(made, hashes) if hashes else ()
    if beyond:
        raise Stale(
            "this plan does what was not approved: nothing was touched",
            hint=_HINT,
            problems=tuple(_problem(row) for row in fold.rows(beyond)),
        )


def _hashes(given: str) -> frozenset[str]:
    if re.fullmatch("[0-9a-f]{64}", given):
        return frozenset((given,))
    path = Path(given)
    if not path.is_file():
        raise UsageFailure(
            f"-expect-hash takes a hash of 64 hexadecimal digits or a plan file, and {given!r} is neither",
            hint="unictl plan -out FILE prints a plan's approval hash, and saves the plan",
        )
    from unictl.operations.planning import plans

    made = plans.open_plan(path)
    return approval.row_hashes(made) | {approval.approval_hash(made)}


def _problem(row: fold.Row) -> Diagnostic:
    what = " ".join(filter(None, (row.first.action.value, row.label, row.amount)))
    return Diagnostic(code="not-approved", summary=f"nobody approved: {what} ({row.first.reason})")
