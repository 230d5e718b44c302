"""Documents and event lines for machines."""

import json as stdlib

from tests.views import samples
from unictl.diagnostics.failure import InvalidFleet
from unictl.journal.event import Began, Ended, Event, Failed, Finished, Progressed, Skipped, Started
from unictl.journal.report import Report
from unictl.plan.model.payloads import LaunchData
from unictl.plan.model.step import Step, StepKind
from unictl.views import documents

_PROBLEM = samples.REFUSAL


def _events() -> list[Event]:
    step = samples.STEP
    return [
        Began(at=0.0, steps=2),
        Started(at=0.1, step=step),
        Progressed(at=0.2, step=step, done=1, total=2),
        Finished(at=0.3, step=step, text="ok"),
        Failed(at=0.4, step=step, problem=_PROBLEM),
        Skipped(at=0.5, step=step, cause="x"),
        Ended(at=1.0),
    ]


def test_every_document_says_which_format_it_is() -> None:
    plan = samples.everything()
    made = [
        documents.plan_document(plan),
        documents.report_document(plan, Report()),
        documents.failure_document(InvalidFleet("no")),
        documents.validation_document((), (), True),
        documents.with_format_version({"fleet": "shop"}),
    ]
    assert [each["format_version"] for each in made] == ["1.2", *["1.0"] * 4]


def test_a_plan_has_the_summary_its_rows_and_all_exit_codes() -> None:
    document = documents.plan_document(samples.everything(), {0, 5, 6, 2})
    assert document["summary"]["replace"] == 42 and document["summary"]["text"].startswith("Plan: 2 to add")
    assert document["exit_codes"] == [0, 2, 5, 6]
    row = next(each for each in document["rows"] if each["subject"] == "api-0")
    assert row["fields"] == [{"path": "image.kernel", "old": samples.OLD, "new": samples.NEW}]
    assert (row["reason"], row["place"]) == ("replace_because_image", "fleet.yaml:31:7")


def test_rows_of_what_stays_are_left_out() -> None:
    assert not documents.plan_document(samples.plan(samples.kept(3)))["rows"]


def test_each_event_is_one_object_on_one_line_with_a_type() -> None:
    lines = [documents.to_line(documents.event_document(event, is_first=n == 0)) for n, event in enumerate(_events())]
    assert all(line.count("\n") == 1 and line.endswith("\n") for line in lines)
    parsed = [stdlib.loads(line) for line in lines]
    assert [each["type"] for each in parsed] == [
        "began",
        "started",
        "progressed",
        "finished",
        "failed",
        "skipped",
        "ended",
    ]
    assert [each.get("format_version") for each in parsed] == ["1.0", *[None] * 6]


def test_an_event_names_its_step_and_leaves_the_launch_document_out() -> None:
    data = LaunchData(document={"argv": ["secret"]}, secrets=())
    step = Step(id="launch:x", kind=StepKind.LAUNCH, host="hv1", subject="x", data=data)
    line = documents.to_line(documents.event_document(Started(at=0.0, step=step)))
    assert "secret" not in line and stdlib.loads(line)["step"]["id"] == "launch:x"


def test_a_report_lists_done_failed_reverted_and_not_started_with_all_codes() -> None:
    step = samples.STEP
    report = Report(done=(step,), failed=((step, _PROBLEM),), reverted=(step,), skipped=((step, "why"),), codes=(5,))
    document = documents.report_document(samples.plan(samples.bump(1)), report, next_command="unictl apply")
    assert document["exit_code"] == 8 and document["exit_codes"] == [5, 8]
    assert document["failed"][0]["problem"]["code"] == "budget"
    assert document["not_started"] == [{"step": step.id, "cause": "why"}] and document["again"] == "unictl apply"


def test_what_is_printed_is_ascii_so_that_every_stream_can_hold_it() -> None:
    assert documents.to_text({"text": "grün\u2028"}).isascii() and documents.to_line({"text": "grün"}).isascii()
