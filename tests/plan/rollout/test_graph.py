"""Steps as a graph."""

import pytest

from unictl.plan.model.step import Step, StepKind
from unictl.plan.rollout import graph


def _step(name: str, *needs: str) -> Step:
    return Step(id=name, kind=StepKind.BARRIER, needs=needs)


DIAMOND = (_step("d", "b", "c"), _step("b", "a"), _step("c", "a"), _step("a"))


def test_the_order_puts_needs_first_and_else_keeps_what_is_given() -> None:
    assert [step.id for step in graph.topological_order(DIAMOND)] == ["a", "b", "c", "d"]
    assert [step.id for step in graph.topological_order((_step("z"), _step("a")))] == ["z", "a"]


def test_a_circle_is_named() -> None:
    circle = (_step("a", "b"), _step("b", "c"), _step("c", "a"))
    with pytest.raises(ValueError, match=r"wait for each other: [abc], [abc], [abc]"):
        graph.topological_order(circle)
    assert "wait for each other" in graph.find_problems(circle)[0]


def test_twins_and_loose_ends_are_named() -> None:
    assert graph.find_problems((_step("a"), _step("a"))) == ("a is there 2 times",)
    assert graph.find_problems((_step("a", "b"),)) == ("a needs b, which is no step",)
    assert graph.find_problems(DIAMOND) == ()


def test_what_does_not_start_when_one_fails() -> None:
    assert graph.descendants(DIAMOND, "b") == {"d"}
    assert graph.descendants(DIAMOND, "a") == {"b", "c", "d"}


def test_the_longest_path_decides_how_long_it_takes() -> None:
    cost = {"a": 1.0, "b": 1.0, "c": 5.0, "d": 1.0}
    assert [step.id for step in graph.critical_path(DIAMOND, lambda step: cost[step.id])] == ["a", "c", "d"]
    assert graph.longest_path_cost(graph.topological_order(DIAMOND), lambda step: cost[step.id]) == 7.0
