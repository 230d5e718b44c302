"""What a review approves: the rows of a plan, by what they do and to what. Pure.

Without revision, actor, time, estimates, addresses: a plan made anew of the same fleet on the same hosts has the same.
"""

import json
from hashlib import sha256
from typing import Any

from unictl.plan.change import Action, Change
from unictl.plan.plan import Plan

_SHOWN = frozenset(Action) - {Action.KEEP, Action.UNKNOWN, Action.HELD}


def rows(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """The sorted rows: (subject, action, reason, old and new fingerprint, host, order)."""
    return tuple(sorted(_row(change) for change in plan.changes if change.action in _SHOWN))


def approval_hash(plan: Plan) -> str:
    """The hash over rows and overrides."""
    plain: Any = {"mark": plan.mark, "id": plan.fleet_id, "rows": rows(plan), "overrides": sorted(plan.overrides)}
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def row_hashes(plan: Plan) -> frozenset[str]:
    """One hash a row: a row of a new plan is approved when an approved plan has it."""
    return frozenset(sha256(json.dumps(row).encode()).hexdigest() for row in rows(plan))


def _row(change: Change) -> tuple[str, ...]:
    old = change.old.fingerprint if change.old else ""
    new = change.new.wished.fingerprint if change.new else ""
    host = f"{change.host}>{change.to_host}" if change.action is Action.MOVE else change.to_host or change.host
    return (change.subject, change.action.value, str(change.reason), old, new, host, change.order)
