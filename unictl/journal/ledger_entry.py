"""One ledger entry: what was applied, when, by whom, from which commit, and how it ended. Values only.

Hosts store it as JSON. Entries are ordered by the token of the lease, never by the clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any

from unictl.journal.report import GATE_FAILED, Report
from unictl.plan.model.change import Action
from unictl.plan.model.payloads import GateData, StageData
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind

_TUPLE_KEYS = ("failed", "reverted", "unfinished", "overrides", "staged")
_FINGERPRINT_KEYS = ("services", "unhealthy", "proved")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
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
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        document |= {key: list(document[key]) for key in _TUPLE_KEYS}
        for key in _FINGERPRINT_KEYS:
            document[key] = {name: list(item) for name, item in sorted(document[key].items())}
        document["took"] = {kind: list(item) for kind, item in sorted(self.took.items())}
        return {key: value for key, value in document.items() if key in ("at", "user", "end") or value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "LedgerEntry":
        """The entry written by ``to_json``; what an older unictl left out is empty, what a newer one added ignored."""
        return cls(
            at=document.get("at", 0.0),
            user=document.get("user", ""),
            end=document.get("end", "unknown"),
            token=document.get("token", 0),
            commit=document.get("commit", ""),
            subject=document.get("subject", ""),
            clean=document.get("clean", False),
            plan=document.get("plan", ""),
            approval=document.get("approval", ""),
            partial=document.get("partial", ""),
            overrides=tuple(document.get("overrides", ())),
            add=document.get("add", 0),
            replace=document.get("replace", 0),
            destroy=document.get("destroy", 0),
            adjust=document.get("adjust", 0),
            failed=tuple(document.get("failed", ())),
            reverted=tuple(document.get("reverted", ())),
            unfinished=tuple(document.get("unfinished", ())),
            services=_decode_fingerprints(document.get("services", {})),
            unhealthy=_decode_fingerprints(document.get("unhealthy", {})),
            proved=_decode_fingerprints(document.get("proved", {})),
            took={kind: tuple(pair) for kind, pair in document.get("took", {}).items()},
            staged=tuple(document.get("staged", ())),
        )


def _decode_fingerprints(by_service: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {service: tuple(fingerprints) for service, fingerprints in by_service.items()}


def from_report(
    plan: Plan, report: Report, *, at: float, user: str, plan_hash: str = "", approval: str = ""
) -> LedgerEntry:
    """What one apply of ``plan`` leaves in the ledger."""
    counts = plan.counts
    services = _completed_fingerprints(plan, report)
    return LedgerEntry(
        at=at,
        user=user,
        end=outcome_word(report),
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
        unhealthy={} if report.interrupted else _unhealthy_fingerprints(plan, report),
        proved=_recovered_fingerprints(services, plan.facts.failed_before),
        took=_step_durations(report),
        staged=_transfer_totals(report),
    )


def outcome_word(report: Report) -> str:
    """How an apply ended, in one word."""
    if report.is_complete:
        return "complete"
    if report.interrupted:
        return "interrupted"
    return "rolled-back" if report.reverted else "failed"


def _completed_fingerprints(plan: Plan, report: Report) -> Mapping[str, tuple[str, ...]]:
    """The fingerprints of every service of which all is done."""
    by_service: dict[str, set[str]] = {}
    for change in plan.changes:
        if change.service in report.unfinished or change.action in (Action.HELD, Action.UNKNOWN):
            continue
        if change.new:
            by_service.setdefault(change.service, set()).add(change.new.desired.fingerprint)
        elif change.action is Action.KEEP and change.old:
            by_service.setdefault(change.service, set()).add(change.old.fingerprint)
    return _sorted_tuples(by_service)


def _unhealthy_fingerprints(plan: Plan, report: Report) -> Mapping[str, tuple[str, ...]]:
    """What a gate found not healthy: what it never came to judge, or is of the way back, says nothing of it."""
    fingerprints_by_key = {change.new.key: change.new.desired.fingerprint for change in plan.changes if change.new}
    by_service: dict[str, set[str]] = {}
    for step, problem in report.failed:
        is_judged = problem.code == GATE_FAILED and not step.undo
        if is_judged and isinstance(step.data, GateData) and step.data.key in fingerprints_by_key:
            by_service.setdefault(step.service, set()).add(fingerprints_by_key[step.data.key])
    return _sorted_tuples(by_service)


def _recovered_fingerprints(
    services: Mapping[str, tuple[str, ...]], failed: Mapping[str, Iterable[str]]
) -> Mapping[str, tuple[str, ...]]:
    """Of what failed before, what a service has now."""
    recovered = {name: set(failed.get(name, ())) & set(current) for name, current in services.items()}
    return _sorted_tuples({name: fingerprints for name, fingerprints in recovered.items() if fingerprints})


def _sorted_tuples(by_service: Mapping[str, Iterable[str]]) -> Mapping[str, tuple[str, ...]]:
    return {name: tuple(sorted(items)) for name, items in sorted(by_service.items())}


def _transfer_totals(report: Report) -> tuple[int, ...]:
    transfers = [step for step in report.done if step.kind is StepKind.STAGE and step.id in report.durations]
    if not transfers:
        return ()
    return sum(step.data_as(StageData).size for step in transfers), round(
        1000 * sum(report.durations[step.id] for step in transfers)
    )


def _step_durations(report: Report) -> Mapping[str, tuple[int, int]]:
    by_kind: dict[str, list[float]] = {}
    for step in report.done:
        if step.id in report.durations:
            by_kind.setdefault(step.kind.value, []).append(report.durations[step.id])
    return {kind: (round(1000 * median(durations)), len(durations)) for kind, durations in sorted(by_kind.items())}
