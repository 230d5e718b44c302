"""One ledger entry: what was applied, when, by whom, from which commit, and how it ended. Values only.

Hosts store it as JSON. Entries are ordered by the token of the lease, never by the clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any

from unictl.journal.report import UNHEALTHY, Report
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Kind

_TUPLES = ("failed", "reverted", "unfinished", "overrides", "staged")
_FINGERPRINTS = ("services", "unhealthy", "proved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One apply.

    ``at`` in seconds of the control machine's clock; ``plan`` and ``approval`` are hashes; ``end`` is complete, failed,
    rolled-back or interrupted; the numbers are what was planned. ``services``: service -> the fingerprints it has when
    the apply ended complete for it, which is what a later failure goes back to; those in ``unfinished`` have none.
    ``unhealthy``: service -> the fingerprints whose gate failed, which are not tried again by themselves; ``proved``:
    those of them, of earlier applies, that this one found healthy.
    ``took``: kind of step -> (median milliseconds, how many) of the steps done; ``staged``: bytes of the images that
    were brought, and the milliseconds that took.
    """

    at: float
    user: str
    end: str
    token: int = 0
    commit: str = ""
    subject: str = ""
    clean: bool = False
    plan: str = ""
    approval: str = ""
    partial: str = ""
    overrides: tuple[str, ...] = ()
    add: int = 0
    replace: int = 0
    destroy: int = 0
    adjust: int = 0
    failed: tuple[str, ...] = ()
    reverted: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unhealthy: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    took: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    staged: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The plain form, with defaults left out; ``from_json`` reads it."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        plain |= {key: list(plain[key]) for key in _TUPLES}
        for key in _FINGERPRINTS:
            plain[key] = {name: list(each) for name, each in sorted(plain[key].items())}
        plain["took"] = {kind: list(each) for kind, each in sorted(self.took.items())}
        return {key: value for key, value in plain.items() if key in ("at", "user", "end") or value}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Entry":
        """The entry written by ``to_json``; what an older unictl left out is empty, what a newer one added ignored."""
        known: dict[str, Any] = {"at": 0.0, "user": "", "end": "unknown"}
        known |= {each.name: plain[each.name] for each in fields(cls) if each.name in plain}
        known |= {key: tuple(plain.get(key, ())) for key in _TUPLES}
        for key in _FINGERPRINTS:
            known[key] = {name: tuple(each) for name, each in plain.get(key, {}).items()}
        known["took"] = {kind: tuple(each) for kind, each in plain.get("took", {}).items()}
        return cls(**known)


def entry(plan: Plan, report: Report, *, at: float, user: str, plan_hash: str = "", approval: str = "") -> Entry:
    """What one apply of ``plan`` leaves in the ledger."""
    counts = plan.counts
    services = _services(plan, report)
    return Entry(
        at=at,
        user=user,
        end=ended(report),
        commit=plan.revision.commit,
        subject=plan.revision.subject,
        clean=plan.revision.clean,
        plan=plan_hash,
        approval=approval,
        partial=plan.partial,
        overrides=plan.overrides,
        add=counts.add,
        replace=counts.replace,
        destroy=counts.destroy,
        adjust=counts.adjust,
        failed=tuple(step.id for step, _ in report.failed),
        reverted=tuple(step.id for step in report.reverted),
        unfinished=report.unfinished,
        services=services,
        unhealthy={} if report.interrupted else _unhealthy(plan, report),
        proved=_proved(services, plan.facts.get("failed_before", {})),
        took=_took(report),
        staged=_staged(report),
    )


def ended(report: Report) -> str:
    """How an apply ended, in one word."""
    if report.complete:
        return "complete"
    if report.interrupted:
        return "interrupted"
    return "rolled-back" if report.reverted else "failed"


def _services(plan: Plan, report: Report) -> Mapping[str, tuple[str, ...]]:
    """The fingerprints of every service of which all is done."""
    found: dict[str, set[str]] = {}
    for change in plan.changes:
        if change.service in report.unfinished or change.action in (Action.HELD, Action.UNKNOWN):
            continue
        if change.new:
            found.setdefault(change.service, set()).add(change.new.wished.fingerprint)
        elif change.action is Action.KEEP and change.old:
            found.setdefault(change.service, set()).add(change.old.fingerprint)
    return _sorted(found)


def _unhealthy(plan: Plan, report: Report) -> Mapping[str, tuple[str, ...]]:
    """What a gate found not healthy: what it never came to judge, or is of the way back, says nothing of it."""
    prints = {change.new.key: change.new.wished.fingerprint for change in plan.changes if change.new}
    found: dict[str, set[str]] = {}
    for step, problem in report.failed:
        if problem.code == UNHEALTHY and not step.undo and step.data["key"] in prints:
            found.setdefault(step.service, set()).add(prints[step.data["key"]])
    return _sorted(found)


def _proved(
    services: Mapping[str, tuple[str, ...]], failed: Mapping[str, Iterable[str]]
) -> Mapping[str, tuple[str, ...]]:
    """Of what failed before, what a service has now."""
    found = {name: set(failed.get(name, ())) & set(prints) for name, prints in services.items()}
    return _sorted({name: each for name, each in found.items() if each})


def _sorted(found: Mapping[str, Iterable[str]]) -> Mapping[str, tuple[str, ...]]:
    return {name: tuple(sorted(each)) for name, each in sorted(found.items())}


def _staged(report: Report) -> tuple[int, ...]:
    brought = [step for step in report.done if step.kind is Kind.STAGE and step.id in report.took]
    if not brought:
        return ()
    return sum(step.data["size"] for step in brought), round(1000 * sum(report.took[step.id] for step in brought))


def _took(report: Report) -> Mapping[str, tuple[int, int]]:
    found: dict[str, list[float]] = {}
    for step in report.done:
        if step.id in report.took:
            found.setdefault(step.kind.value, []).append(report.took[step.id])
    return {kind: (round(1000 * median(each)), len(each)) for kind, each in sorted(found.items())}
