"""What a review approves: the changes of a plan, by what they do and to what. Pure.

Revision, actor, time, estimates and addresses are left out: a new plan of the same fleet on the same hosts has the
same hash.
"""

import json
from collections.abc import Collection
from hashlib import sha256

from unictl.plan.model.change import Action, Change
from unictl.plan.model.plan import Plan

_REVIEWED_ACTIONS = frozenset(Action) - {Action.KEEP, Action.UNKNOWN, Action.HELD}


def reviewed_rows(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """The sorted rows: (subject, action, reason, old and new fingerprint, host, order)."""
    return tuple(sorted(_review_row(change) for change in plan.changes if change.action in _REVIEWED_ACTIONS))


def approval_hash(plan: Plan) -> str:
    """The hash over rows and overrides."""
    plain = {
        "mark": plan.mark,
        "id": plan.fleet_id,
        "rows": reviewed_rows(plan),
        "overrides": sorted(plan.overrides),
    }
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def row_hash(plan: Plan, change: Change) -> str:
    """The hash of one row of a plan; empty where the change needs no approval."""
    if change.action not in _REVIEWED_ACTIONS:
        return ""
    plain = [plan.mark, plan.fleet_id, *_review_row(change)]
    return sha256(json.dumps(plain, separators=(",", ":")).encode()).hexdigest()


def row_hashes(plan: Plan) -> frozenset[str]:
    """One hash a row: a row of a new plan is approved when an approved plan has it."""
    return frozenset(row_hash(plan, change) for change in plan.changes) - {""}


def unapproved_changes(plan: Plan, approved: Collection[str]) -> tuple[Change, ...]:
    """The changes that nobody approved. ``approved`` holds approval hashes of whole plans and hashes of rows.

    What was approved and is no longer needed is no matter.
    """
    if approval_hash(plan) in approved:
        return ()
    return tuple(change for change in plan.changes if row_hash(plan, change) not in {*approved, ""})


def _review_row(change: Change) -> tuple[str, ...]:
    old = change.old.fingerprint if change.old else ""
    new = change.new.desired.fingerprint if change.new else ""
    host = f"{change.host}>{change.to_host}" if change.action is Action.MOVE else change.to_host or change.host
    return (change.subject, change.action.value, str(change.reason), old, new, host, change.order)
