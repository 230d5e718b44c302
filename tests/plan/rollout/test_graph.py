"""Steps as a graph."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan.test_laws import SETTINGS
from unictl.plan.model.step import Step, StepKind
from unictl.plan.rollout import graph
from unictl.plan.rollout.graph import PendingSteps


def _step(name: str, *needs: str) -> Step:
    return Step(id=name, kind=StepKind.BARRIER, needs=needs)


def _ids(steps: tuple[Step, ...]) -> list[str]:
    return [step.id for step in steps]


DIAMOND = (_step("d", "b", "c"), _step("b", "a"), _step("c", "a"), _step("a"))
CYCLE = (_step("start"), _step("a", "c"), _step("b", "a", "start"), _step("c", "b"), _step("end", "c"), _step("last"))


@st.composite
def _shuffled_steps(draw: st.DrawFn) -> tuple[Step, ...]:
    """Steps that need only steps of a lower number, in any order."""
    count = draw(st.integers(1, 12))
    steps = []
    for number in range(count):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        steps.append(_step(f"s{number}", *(f"s{need}" for need in sorted(needs))))
    return tuple(draw(st.permutations(steps)))


def test_a_step_comes_after_what_it_needs() -> None:
    assert _ids(graph.topological_order(DIAMOND)) == ["a", "b", "c", "d"]


def test_steps_that_are_in_order_stay_as_given() -> None:
    assert _ids(graph.topological_order((_step("z"), _step("a"), _step("b", "z")))) == ["z", "a", "b"]


@SETTINGS
@given(steps=_shuffled_steps())
def test_the_next_step_is_the_first_given_of_those_that_may_come_next(steps: tuple[Step, ...]) -> None:
    remaining, done = list(steps), set[str]()
    for step in graph.topological_order(steps):
        assert step is next(candidate for candidate in remaining if done.issuperset(candidate.needs))
        remaining.remove(step)
        done.add(step.id)
    assert not remaining


def test_steps_that_wait_for_a_cycle_are_left_out_of_the_order() -> None:
    assert _ids(graph.topological_order(CYCLE)) == ["start", "last"]


def test_a_cycle_is_found_from_a_step_to_the_one_that_needs_it() -> None:
    assert _ids(graph.find_cycle(CYCLE)) == ["a", "b", "c"]
    assert _ids(graph.find_cycle((_step("a", "a"),))) == ["a"]
    assert graph.find_cycle(DIAMOND) == ()


COSTS = {"a": 1.0, "b": 1.0, "c": 5.0, "d": 1.0, "alone": 6.5}


def test_the_critical_path_is_the_chain_that_costs_most() -> None:
    ordered = graph.topological_order(DIAMOND)
    assert _ids(graph.critical_path(ordered, lambda step: COSTS[step.id])) == ["a", "c", "d"]


@pytest.mark.parametrize(("cost", "path"), [(6.5, ["a", "c", "d"]), (7.5, ["alone"])])
def test_a_step_by_itself_is_critical_if_it_costs_more_than_any_chain(cost: float, path: list[str]) -> None:
    ordered = (_step("alone"), *graph.topological_order(DIAMOND))
    assert _ids(graph.critical_path(ordered, lambda step: (COSTS | {"alone": cost})[step.id])) == path


@SETTINGS
@given(steps=_shuffled_steps(), random=st.randoms(use_true_random=False))
def test_no_chain_of_steps_costs_more_than_the_critical_path(steps: tuple[Step, ...], random: Random) -> None:
    costs = {step.id: float(random.randrange(5)) for step in steps}
    ordered = graph.topological_order(steps)
    path = graph.critical_path(ordered, lambda step: costs[step.id])
    highest: dict[str, float] = {}
    for step in ordered:
        highest[step.id] = costs[step.id] + max((highest[need] for need in step.needs), default=0.0)
    assert sum(costs[step.id] for step in path) == max(highest.values())
    assert all(step.id in follower.needs for step, follower in pairwise(path))


def _pending(*steps: Step) -> PendingSteps:
    pending = PendingSteps()
    pending.add(steps)
    return pending


def test_a_step_that_succeeds_unblocks_those_that_waited_only_for_it() -> None:
    pending = _pending(*DIAMOND)
    assert _ids(pending.complete("a")) == ["b", "c"]
    assert pending.complete("b") == () and _ids(pending.complete("c")) == ["d"]
    assert "a" not in pending and "d" in pending


def test_a_step_that_fails_takes_all_that_depends_on_it_along_in_the_order_given() -> None:
    pending = _pending(*DIAMOND, _step("alone"))
    pending.complete("a")
    assert _ids(pending.abandon("c")) == ["d"]
    assert "b" in pending and "d" not in pending
    assert _ids(_pending(*DIAMOND).abandon("a")) == ["d", "b", "c"]


def test_nothing_becomes_ready_that_depends_on_a_step_that_failed() -> None:
    pending = _pending(*DIAMOND)
    pending.complete("a")
    pending.abandon("c")
    assert pending.complete("b") == ()


def test_steps_that_are_added_later_follow_their_own_needs() -> None:
    pending = _pending(_step("a"))
    pending.add((_step("x"), _step("y", "x")))
    assert _ids(pending.complete("x")) == ["y"]
