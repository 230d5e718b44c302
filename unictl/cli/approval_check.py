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


def approved_hashes(arguments: Arguments) -> frozenset[str]:
    """All hashes of ``-expect-hash``: as they were given, or of a plan file and each of its rows."""
    return frozenset().union(*(_read_hashes(value) for value in arguments.expect_hash))


def require_approved(plan: Plan, hashes: frozenset[str]) -> None:
    """Stale where the plan would do what is in none of ``hashes``; nothing where no hash was given."""
    unapproved = approval.unapproved_changes(plan, hashes) if hashes else ()
    if unapproved:
        raise Stale(
            "this plan does what was not approved: nothing was touched",
            hint=_HINT,
            problems=tuple(_unapproved_problem(row) for row in fold.fold_rows(unapproved)),
        )


def _read_hashes(value: str) -> frozenset[str]:
    if re.fullmatch("[0-9a-f]{64}", value):
        return frozenset((value,))
    path = Path(value)
    if not path.is_file():
        raise UsageFailure(
            f"-expect-hash takes a hash of 64 hexadecimal digits or a plan file, and {value!r} is neither",
            hint="unictl plan -out FILE prints a plan's approval hash, and saves the plan",
        )
    from unictl.operations.planning import plans

    plan = plans.open_plan(path)
    return approval.row_hashes(plan) | {approval.approval_hash(plan)}


def _unapproved_problem(change_row: fold.Row) -> Diagnostic:
    action_text = " ".join(filter(None, (change_row.first.action.value, change_row.label, change_row.amount)))
    return Diagnostic(code="not-approved", summary=f"nobody approved: {action_text} ({change_row.first.reason})")
