"""Events folded: what an apply amounts to, and the process's exit code."""

import pytest

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.journal.event import Began, Ended, Event, Failed, Finished, Interrupting, Reverted, Skipped, Started
from unictl.journal.report import from_events
from unictl.plan.model.step import Step, StepKind

PROBLEM = Diagnostic(code="step-prove-failed", summary="it never answered")


def _step(name: str, service: str = "api") -> Step:
    return Step(id=name, kind=StepKind.LAUNCH, host="hv1", service=service)


ONE, TWO, THREE = _step("one"), _step("two"), _step("three", "db")


def _walk(*middle: Event) -> tuple[Event, ...]:
    return (Began(at=0, steps=3), *middle, Ended(at=9))


DONE = (Started(at=1, step=ONE), Finished(at=2, step=ONE))
BROKEN = (Started(at=3, step=TWO), Failed(at=4, step=TWO, problem=PROBLEM), Skipped(at=4, step=THREE, cause="two"))


def test_what_ends_well_is_done_and_complete() -> None:
    report = from_events(_walk(*DONE))
    assert report.done == (ONE,)
    assert report.is_complete
    assert report.exit_code == 0


def test_it_knows_how_long_what_is_done_took() -> None:
    assert from_events(_walk(*DONE, *BROKEN)).durations == {"one": 1}


def test_a_failure_and_what_waited_for_it_are_told_apart() -> None:
    report = from_events(_walk(*DONE, *BROKEN))
    assert report.failed == ((TWO, PROBLEM),)
    assert report.skipped == ((THREE, "two"),)
    assert not report.is_complete
    assert report.unfinished == ("api", "db")
    assert report.exit_code == 1


def test_what_was_taken_back_is_exit_8_and_never_0() -> None:
    report = from_events(_walk(*BROKEN, Reverted(at=5, step=TWO)))
    assert report.exit_code == 8
    assert report.all_exit_codes == {8}


def test_an_interrupt_comes_before_all_else() -> None:
    report = from_events(_walk(*BROKEN, Interrupting(at=5), Started(at=5, step=ONE)), codes=(5,))
    assert report.in_flight == (ONE,)
    assert report.exit_code == 130
    assert report.all_exit_codes == {130, 1, 5}


def test_a_step_that_never_ended_is_no_success() -> None:
    assert from_events(_walk(Started(at=1, step=ONE))).exit_code == 1


@pytest.mark.parametrize(("codes", "code"), [((), 0), ((5,), 5), ((5, 4), 4)])
def test_codes_from_outside_count(codes: tuple[int, ...], code: int) -> None:
    assert from_events(_walk(*DONE), codes=codes).exit_code == code
