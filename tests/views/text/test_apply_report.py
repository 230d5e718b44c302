"""What an apply came to, as text."""

from collections.abc import Callable
from dataclasses import replace

from tests.views import samples
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.journal.report import Report
from unictl.plan.model.change import Action, Change
from unictl.plan.model.payloads import DeleteData
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step, StepKind
from unictl.plan.progress.tracker import ServiceOutcome
from unictl.views.text import apply_report, layout


def _step(kind: StepKind, name: str, host: str = "hv1") -> Step:
    return Step(id=f"{kind.value}:{name}", kind=kind, host=host, subject=name, service=name.partition("-")[0])


_ONE = [_step(kind, "api-0.7f3c9a1b") for kind in (StepKind.LAUNCH, StepKind.PROVE)] + [
    _step(StepKind.RETIRE, "api-0.00000001")
]
_TWO = [_step(kind, "api-1.aaaaaaaa") for kind in (StepKind.LAUNCH, StepKind.PROVE)] + [
    _step(StepKind.RETIRE, "api-1.00000002")
]
_WEB = [_step(kind, f"web-{n}.bbbbbbbb") for n in range(2) for kind in (StepKind.LAUNCH, StepKind.PROVE)]
_PROBLEM = Diagnostic(code="not-healthy", summary="api-1 was not healthy within 30s: /healthz answered 500")


def _plan() -> Plan:
    changes = (*samples.bump(2), *samples.creates(2), *samples.destroys(0))
    return replace(samples.plan(changes), steps=(*_ONE, *_TWO, *_WEB))


def _rolled_back() -> Report:
    return Report(
        done=(*_ONE, _TWO[0]),
        failed=((_TWO[1], _PROBLEM),),
        reverted=(_TWO[0],),
        skipped=((_TWO[2], _TWO[1].id), *((step, _TWO[1].id) for step in _WEB)),
    )


def test_complete_is_the_one_promised_line() -> None:
    plan = samples.plan((*samples.creates(2), *samples.bump(3), *samples.destroys(1), *samples.others()[:4]))
    lines = layout.join_lines(apply_report.render(plan, Report(done=(samples.STEP,))))
    assert lines == "Apply complete: 2 added, 3 replaced, 1 destroyed, 4 adjusted.\n"


def test_a_roll_back_says_what_is_done_failed_reverted_and_not_started(golden: Callable[[str, str], None]) -> None:
    shown = layout.join_lines(apply_report.render(_plan(), _rolled_back(), 80, next_command="unictl apply shop -retry"))
    before, told, after = shown.partition(_PROBLEM.summary)
    assert told
    golden("apply-rolled-back.txt", before.splitlines()[0] + "\n" + after[after.index("\n\n") :])


def test_only_whole_changes_count_as_done() -> None:
    counts = apply_report.completed_counts(_plan(), _rolled_back())
    assert (counts.replace, counts.add) == (1, 0)


def test_a_step_that_was_taken_back_counts_as_nothing() -> None:
    report = Report(done=tuple(_WEB[:2]), rolled_back=(replace(_WEB[0], undo=True),))
    assert apply_report.completed_counts(_plan(), report).add == 0


def test_ingress_volumes_and_marks_are_found_by_what_they_are_about() -> None:
    changes = (
        Change(action=Action.ADJUST, subject="ingress", host="hv1", reason="adjust_because_ingress"),
        Change(action=Action.ADJUST, subject="marks:api-2", host="hv1", reason="adjust_because_protect"),
        Change(action=Action.DESTROY, subject="volume:old", host="hv1", reason="destroy_because_volume_named"),
    )
    steps = (
        Step(id="join:hv1", kind=StepKind.JOIN, host="hv1", subject="ingress"),
        Step(id="mark:api-2", kind=StepKind.MARK, host="hv1", subject="api-2.7f3c9a1b"),
        Step(id="delete:old", kind=StepKind.DELETE, host="hv1", subject="old", data=DeleteData(volume="old")),
    )
    counts = apply_report.completed_counts(replace(samples.plan(changes), steps=steps), Report(done=steps))
    assert (counts.adjust, counts.destroy) == (2, 1)


def test_an_interrupt_names_what_did_not_start_and_the_command_that_goes_on() -> None:
    report = Report(done=tuple(_ONE), skipped=tuple((step, "") for step in _WEB), interrupted=True)
    shown = layout.join_lines(apply_report.render(_plan(), report, next_command="unictl apply"))
    assert "because you asked to stop: 4 steps" in shown and "To go on: unictl apply\n" in shown
    assert shown.splitlines()[-1].startswith("Apply interrupted: 0 added, 1 replaced")


def test_a_thousand_steps_not_started_are_a_few_lines() -> None:
    skipped = tuple((_step(StepKind.LAUNCH, f"api-{n}.aaaaaaaa"), "prove:api-0") for n in range(1000))
    shown = layout.join_lines(apply_report.render(_plan(), Report(failed=((_ONE[1], _PROBLEM),), skipped=skipped)))
    assert len(shown.splitlines()) < 15 and "1000 steps" in shown


def test_who_is_on_a_host_that_fell_silent_is_called_neither_new_nor_old() -> None:
    mixture = ServiceOutcome(service="front", new=("front-0",), unknown=("front-1", "front-2"), unseen=("hv3",))
    assert mixture.is_mixed
    told = [sentence for sentence, _ in apply_report.outcome_sentences(mixture)]
    known, unknown = "front-0 as planned", "how front-1, front-2 stand is unknown"
    assert told == [f"front: {known}; {unknown}, for nothing is known of hv3 any more."]
