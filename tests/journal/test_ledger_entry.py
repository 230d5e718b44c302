"""Ledger entries: what an apply leaves, as a value and as JSON."""

import json
from dataclasses import replace

from tests.plan import cases
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.journal.ledger_entry import LedgerEntry, from_report
from unictl.journal.report import GATE_FAILED, Report
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind


def _plan() -> Plan:
    return cases.hello_again()


def test_a_complete_apply_names_commit_user_end_and_what_every_service_is_now() -> None:
    plan = _plan()
    made = from_report(plan, Report(done=plan.steps), at=12.5, user="ann@desk", plan_hash="ab", approval="cd")
    assert (made.end, made.user, made.commit, made.replace) == ("complete", "ann@desk", plan.revision.commit, 3)
    assert set(made.services) == {"counter", "front"}
    assert made.services["front"] == tuple({change.new.desired.fingerprint for change in plan.changes if change.new})


def test_what_failed_is_named_and_its_service_has_no_last_good_state() -> None:
    plan = _plan()
    failed = next(step for step in plan.steps if step.service == "front")
    report = Report(failed=((failed, Diagnostic(code="x", summary="no")),), reverted=(failed,))
    made = from_report(plan, report, at=1.0, user="ann")
    assert made.end == "rolled-back"
    assert made.failed == (failed.id,)
    assert made.unfinished == ("front",)
    assert set(made.services) == {"counter"}


def test_of_each_kind_of_step_the_median_and_how_many_are_kept() -> None:
    launches = [step for step in _plan().steps if step.kind is StepKind.LAUNCH][:3]
    took = dict(zip((step.id for step in launches), (0.1, 9.0, 0.25), strict=True))
    assert from_report(_plan(), Report(done=tuple(launches), durations=took), at=1.0, user="ann").took == {
        "launch": (250, 3)
    }


def _failed(plan: Plan, code: str, **more: bool) -> Report:
    proof = next(step for step in plan.steps if step.service == "front" and step.kind is StepKind.PROVE)
    problem = Diagnostic(code=code, summary="no")
    return Report(failed=((replace(proof, undo=more.pop("undo", False)), problem),), reverted=(proof,), **more)


def _fronts(plan: Plan) -> tuple[str, ...]:
    return tuple(
        {change.new.desired.fingerprint for change in plan.changes if change.new and change.service == "front"}
    )


def test_what_its_gate_found_unhealthy_is_kept_by_service() -> None:
    plan = _plan()
    assert from_report(plan, _failed(plan, GATE_FAILED), at=1.0, user="ann").unhealthy == {"front": _fronts(plan)}


def test_what_no_gate_came_to_judge_is_not() -> None:
    plan = _plan()
    silent, stopped = _failed(plan, "step-prove-failed"), _failed(plan, GATE_FAILED, interrupted=True)
    back = _failed(plan, GATE_FAILED, undo=True)
    assert all(not from_report(plan, each, at=1.0, user="ann").unhealthy for each in (silent, stopped, back))


def test_what_failed_before_and_is_healthy_now_is_said_to_be() -> None:
    plan = _plan()
    plan = replace(
        plan,
        facts=replace(plan.facts, failed_before={"front": (*_fronts(plan), "1:another"), "gone": ("1:x",)}),
    )
    assert from_report(plan, Report(done=plan.steps), at=1.0, user="ann").proved == {"front": _fronts(plan)}
    assert from_report(plan, _failed(plan, GATE_FAILED), at=1.0, user="ann").proved == {}


def test_an_entry_survives_json() -> None:
    plan = _plan()
    made = from_report(
        plan, Report(done=plan.steps, durations={step.id: 0.5 for step in plan.steps}), at=1.0, user="ann"
    )
    made = replace(made, unhealthy={"front": ("1:ab",)}, proved={"front": ("1:cd",)})
    assert made.took
    assert LedgerEntry.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_old_and_new_entries_are_read() -> None:
    assert LedgerEntry.from_json({}).end == "unknown"
    assert LedgerEntry.from_json({"at": 2.0, "user": "bo", "end": "complete", "mood": "blue", "format": 1}).user == "bo"
