"""Small worlds and the plans made of them: every case is a folder name, its world a function, its plan a golden text.

``UNICTL_ACCEPT=1`` writes the golden files anew.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plan import cases
from unictl.plan.model.plan import Plan

HERE = Path(__file__).parent / "cases"
CASES: dict[str, Callable[[], Plan]] = {name.replace("_", "-"): each for name, each in cases.CASES.items()}


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_plan_is_the_golden_one(name: str) -> None:
    text = told(CASES[name]())
    golden = HERE / name / "plan.txt"
    if os.environ.get("UNICTL_ACCEPT"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert golden.read_text() == text


def test_every_golden_file_has_a_case() -> None:
    assert {each.parent.name for each in HERE.glob("*/plan.txt")} == set(CASES)


def told(plan: Plan) -> str:
    """Changes, steps, refusals and warnings, one a line; generations by the order in which they appear."""
    lines = [f"{plan.counts}".removeprefix("Counts")]
    for change in plan.changes:
        where = (
            change.host if change.host == change.to_host or not change.to_host else f"{change.host}>{change.to_host}"
        )
        keys = [f"old={change.old.key}" if change.old else "", f"new={change.new.key}" if change.new else ""]
        order = f"{change.order}({change.order_reason})" if change.order_reason else change.order
        origin = ".".join(map(str, change.origin))
        row = [change.symbol, change.action.value, change.subject, change.reason, where, *keys, order]
        lines.append(" ".join(filter(None, row)) + (f" @{origin}" if origin else ""))
        lines += [f"    {change.detail}"] if change.detail else []
        lines += [f"    {f.path}: {f.old} -> {f.new}" for f in change.fields]
    lines += [f"{step.id} <- {' '.join(step.needs)}".rstrip(" <-") for step in plan.steps]
    lines += [f"refused {each.code}: {each.summary} | {each.hint}" for each in plan.refusals]
    lines += [f"warning {each.code}: {each.summary} | {each.hint}" for each in plan.warnings]
    return "\n".join(lines) + "\n"
