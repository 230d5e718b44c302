"""JSON documents and event lines for machines. Pure. Every document has a `format_version`.

A minor version adds keys, a major one changes their meaning: readers ignore keys they do not know and refuse an
unknown
major version.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from unictl.diagnostics.diagnostic import Problems
from unictl.diagnostics.failure import Failure
from unictl.journal.event import Event, Failed, Told
from unictl.journal.report import Report
from unictl.plan.file import approval, planfile
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step
from unictl.views.text import apply_report, plan_text, problems
from unictl.views.text.fold import place

FORMAT_VERSION = "1.0"


def plan(plan: Plan, codes: Iterable[int] = ()) -> dict[str, Any]:
    """The plan file's document, with the summary, and with a row a change as a script wants it. It opens as one."""
    return {
        **planfile.document(plan),
        "type": "plan",
        "has_changes": plan.has_changes,
        "can_apply": plan.can_apply,
        "summary": {"text": plan_text.summary(plan), **_counts(plan.counts)},
        "rows": [_row(plan, change) for change in plan.changes if change.action.value != "keep"],
        "exit_codes": sorted(set(codes)),
    }


def written(plan: Plan) -> dict[str, Any]:
    """What was written into ``fleet.lock`` when the plan was made: the same as ``lock`` prints."""
    return {"format_version": FORMAT_VERSION, "type": "lock", "path": "fleet.lock", "changed": plan_text.written(plan)}


def report(plan: Plan, report: Report, *, again: str = "") -> dict[str, Any]:
    """What an apply came to; the last line of its stream."""
    return {
        "format_version": FORMAT_VERSION,
        "type": "report",
        "complete": report.complete,
        "interrupted": report.interrupted,
        "summary": {"text": apply_report.summary(plan, report), **_counts(apply_report.done(plan, report))},
        "done": [step.id for step in report.done],
        "failed": [{"step": step.id, "problem": problems.json((problem,))[0]} for step, problem in report.failed],
        "reverted": [step.subject for step in report.reverted],
        "returned": [step.id for step in report.returned],
        "services": [asdict(mixture) | {"mixed": mixture.mixed} for mixture in report.mixtures],
        "not_started": [{"step": step.id, "cause": cause} for step, cause in report.skipped],
        "in_flight": [step.id for step in report.in_flight],
        "exit_code": report.exit_code,
        "exit_codes": sorted({report.exit_code, *report.codes}),
        "again": again,
    }


def event(event: Event, *, first: bool = False) -> dict[str, Any]:
    """One event as one object; the first of a stream says which format it is."""
    head = {"type": type(event).__name__.lower()} | ({"format_version": FORMAT_VERSION} if first else {})
    body = {each.name: getattr(event, each.name) for each in fields(event)}
    if "step" in body:
        body["step"] = _step(body["step"])
    if isinstance(event, Told):
        body["mixture"] = asdict(event.mixture)
    if isinstance(event, Failed):
        body["problem"] = problems.json((event.problem,))[0]
    return head | body


def failure(failure: Failure) -> dict[str, Any]:
    """A failure in place of the document that was asked for."""
    return {
        "format_version": FORMAT_VERSION,
        "type": "failure",
        "summary": failure.summary,
        "detail": failure.detail,
        "hint": failure.hint,
        "problems": list(problems.json(failure.problems)),
        "exit_code": failure.code,
        "exit_codes": [failure.code],
    }


def validated(found: Problems, files: Iterable[str], valid: bool) -> dict[str, Any]:
    """What ``validate`` found."""
    return {
        "format_version": FORMAT_VERSION,
        "type": "validation",
        "valid": valid,
        "files": list(files),
        "problems": list(problems.json(found)),
    }


def document(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document that an operation made, with the format's version first."""
    return {"format_version": FORMAT_VERSION, **document}


def line(document: Mapping[str, Any]) -> str:
    """One object on one line, with its end: what a stream is made of."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"), default=str) + "\n"


def whole(document: Mapping[str, Any]) -> str:
    """One document, indented, with its end; keys keep their order, so that equal values give equal bytes."""
    return json.dumps(document, ensure_ascii=True, indent=2, default=str) + "\n"


def _row(plan: Plan, change: Any) -> dict[str, Any]:
    places = plan.facts.get("places", {})
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
        "fields": [{"path": each.path, "old": each.old, "new": each.new} for each in change.fields],
        "origin": ".".join(map(str, change.origin)),
        "place": place(change, places if isinstance(places, Mapping) else {}),
        "hash": approval.row_hash(plan, change),
    }


def _counts(counts: Any) -> dict[str, int]:
    return {each.name: getattr(counts, each.name) for each in fields(counts)}


def _step(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "kind": step.kind.value,
        "host": step.host,
        "subject": step.subject,
        "service": step.service,
        "wave": step.wave,
    }
