"""Guards have one signature and stand in one table, so that a refusal is one module and one line."""

import inspect
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.plan import cases
from tests.plan.builders import empty, plan
from unictl.diagnostics.finding import Finding
from unictl.plan import guards, planner
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.guards.guard_table import GUARDS, Guard, check_draft


def no_service_called_front(draft: PlanDraft) -> Iterator[Finding]:
    """A made-up guard."""
    for name in draft.context.fleet.services:
        if name == "front":
            yield Finding(path=("services", name), code="made-up", summary="no front", hint="call it back")


def test_a_guard_that_is_added_to_the_table_refuses_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = cases.hello()
    assert plan(fleet, empty(fleet)).can_apply
    monkeypatch.setattr(planner, "check_draft", partial(check_draft, guards=(*GUARDS, no_service_called_front)))
    refused = plan(fleet, empty(fleet))
    assert [(problem.code, problem.summary) for problem in refused.refusals] == [("made-up", "no front")]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_every_guard_has_the_one_signature(guard: Guard) -> None:
    signature = inspect.signature(guard, eval_str=True)
    assert [parameter.annotation for parameter in signature.parameters.values()] == [PlanDraft]
    assert signature.return_annotation == Iterator[Finding]


def test_every_module_of_guards_has_one_in_the_table() -> None:
    modules = {path.stem for path in Path(inspect.getfile(guards)).parent.glob("*.py")}
    assert modules - {"__init__", "draft", "guard_table"} == {guard.__module__.rpartition(".")[2] for guard in GUARDS}
    assert len(GUARDS) == len(set(GUARDS)) >= 19
