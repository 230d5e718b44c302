"""JSON documents and event lines for machines. Pure. Every document has a `format_version`.

A minor version adds keys, a major one changes their meaning: readers ignore keys they do not know and refuse an
unknown major version.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from unictl.diagnostics.diagnostic import Problems
from unictl.diagnostics.failure import Failure
from unictl.journal.event import Event, Failed, Outcome
from unictl.journal.report import Report
from unictl.plan.file import approval, planfile
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step
from unictl.views.text import apply_report, plan_text, problems
from unictl.views.text.fold import origin_place

FORMAT_VERSION = "1.0"


def plan_document(plan: Plan, codes: Iterable[int] = ()) -> dict[str, Any]:
    """The plan file's document, with the summary, and with a row a change as a script wants it. It opens as one."""
    return {
        **planfile.plan_document(plan),
        "type": "plan",
        "has_changes": plan.has_changes,
        "can_apply": plan.can_apply,
        "summary": {"text": plan_text.summary(plan), **_counts_document(plan.counts)},
        "rows": [_change_row(plan, change) for change in plan.changes if change.action.value != "keep"],
        "exit_codes": sorted(set(codes)),
    }


def lock_document(plan: Plan) -> dict[str, Any]:
    """What was written into ``fleet.lock`` when the plan was made: the same as ``lock`` prints."""
    return {
        "format_version": FORMAT_VERSION,
        "type": "lock",
        "path": "fleet.lock",
        "changed": plan_text.lock_changes(plan),
    }


def report_document(plan: Plan, report: Report, *, next_command: str = "") -> dict[str, Any]:
    """What an apply came to; the last line of its stream."""
    return {
        "format_version": FORMAT_VERSION,
        "type": "report",
        "complete": report.is_complete,
        "interrupted": report.interrupted,
        "summary": {
            "text": apply_report.summary(plan, report),
            **_counts_document(apply_report.completed_counts(plan, report)),
        },
        "done": [step.id for step in report.done],
        "failed": [{"step": step.id, "problem": problems.to_json((problem,))[0]} for step, problem in report.failed],
        "reverted": [step.subject for step in report.reverted],
        "returned": [step.id for step in report.rolled_back],
        "services": [
            asdict(service_outcome) | {"mixed": service_outcome.is_mixed} for service_outcome in report.outcomes
        ],
        "not_started": [{"step": step.id, "cause": cause} for step, cause in report.skipped],
        "in_flight": [step.id for step in report.in_flight],
        "exit_code": report.exit_code,
        "exit_codes": sorted({report.exit_code, *report.codes}),
        "again": next_command,
    }


def event_document(event: Event, *, is_first: bool = False) -> dict[str, Any]:
    """One event as one object; the first of a stream says which format it is."""
    header = {"type": type(event).__name__.lower()} | ({"format_version": FORMAT_VERSION} if is_first else {})
    body = {event_field.name: getattr(event, event_field.name) for event_field in fields(event)}
    if "step" in body:
        body["step"] = _step_document(body["step"])
    if isinstance(event, Outcome):
        body["outcome"] = asdict(event.outcome)
    if isinstance(event, Failed):
        body["problem"] = problems.to_json((event.problem,))[0]
    return header | body


def failure_document(failure: Failure) -> dict[str, Any]:
    """A failure in place of the document that was asked for."""
    return {
        "format_version": FORMAT_VERSION,
        "type": "failure",
        "summary": failure.summary,
        "detail": failure.detail,
        "hint": failure.hint,
        "problems": list(problems.to_json(failure.problems)),
        "exit_code": failure.code,
        "exit_codes": [failure.code],
    }


def validation_document(diagnostics: Problems, files: Iterable[str], is_valid: bool) -> dict[str, Any]:
    """What ``validate`` found."""
    return {
        "format_version": FORMAT_VERSION,
        "type": "validation",
        "valid": is_valid,
        "files": list(files),
        "problems": list(problems.to_json(diagnostics)),
    }


def with_format_version(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document that an operation made, with the format's version first."""
    return {"format_version": FORMAT_VERSION, **document}


def to_line(document: Mapping[str, Any]) -> str:
    """One object on one line, with its end: what a stream is made of."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"), default=str) + "\n"


def to_text(document: Mapping[str, Any]) -> str:
    """One document, indented, with its end; keys keep their order, so that equal values give equal bytes."""
    return json.dumps(document, ensure_ascii=True, indent=2, default=str) + "\n"


def _change_row(plan: Plan, change: Any) -> dict[str, Any]:
    return {
        "action": change.action.value,
        "symbol": change.symbol,
        "subject": change.subject,
        "service": change.service,
        "reason": change.reason,
        "detail": change.detail,
        "host": change.host,
        "to_host": change.to_host,
        "order": change.order,
        "order_reason": change.order_reason,
        "fields": [
            {"path": changed_field.path, "old": changed_field.old, "new": changed_field.new}
            for changed_field in change.fields
        ],
        "origin": ".".join(map(str, change.origin)),
        "place": origin_place(change, plan.facts.places),
        "hash": approval.row_hash(plan, change),
    }


def _counts_document(counts: Any) -> dict[str, int]:
    return {count_field.name: getattr(counts, count_field.name) for count_field in fields(counts)}


def _step_document(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "kind": step.kind.value,
        "host": step.host,
        "subject": step.subject,
        "service": step.service,
        "wave": step.wave,
    }
