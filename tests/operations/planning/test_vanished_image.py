"""An image that vanishes while an apply is under way fails what needs it, and nothing else."""

from pathlib import Path

import pytest

from tests.operations.fleets import TryFleet
from tests.operations.planning.killed_apply import Never
from unictl.journal.event import Began, Event
from unictl.operations.planning.apply import apply_plan
from unictl.operations.planning.plans import make_plan
from unictl.operations.request import ApplyOptions, FleetRequest
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.step import StepKind

pytestmark = pytest.mark.real


def test_its_step_fails_with_what_to_do_and_the_others_end_as_ever(fleet: TryFleet) -> None:
    image = fleet.folder / "hello.elf"
    content = image.read_bytes()
    # Of its own, so that no other copy on this machine stands in for it.
    image.write_bytes(content + b"\0")

    def vanish(event: Event) -> None:
        if isinstance(event, Began):
            image.unlink()

    made = make_plan(FleetRequest(path=Path(fleet.folder)), PlanOptions())
    report = apply_plan(made, ApplyOptions(holder="test"), vanish, Never())
    problems = {step.kind: problem.summary for step, problem in report.failed}
    assert list(problems) == [StepKind.STAGE]
    assert "hello.elf cannot be read any more: No such file or directory" in problems[StepKind.STAGE]
    assert StepKind.VOLUME in {step.kind for step in report.done}
    image.write_bytes(content + b"\0")
    assert fleet.apply("-retry").code == 0
