"""A plan as a file: the same bytes for the same plan, everything back when read, and what is not ours refused."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given

from tests.plan import cases
from tests.plan.builders import plan
from tests.plan.test_laws import SETTINGS
from tests.plan.worlds import LOOSE, Story, applied, stories
from unictl.diagnostics.failure import InvalidFleet
from unictl.plan import planfile
from unictl.plan.approval import approval_hash, rows
from unictl.plan.plan import Revision


@pytest.mark.parametrize("name", sorted(cases.CASES))
def test_what_is_written_is_read_back(name: str) -> None:
    made = cases.CASES[name]()
    text = planfile.dump(made)
    again = planfile.load(text)
    assert again == made
    assert planfile.dump(again) == text


@SETTINGS
@given(story=stories())
def test_every_plan_survives_its_file(story: Story) -> None:
    sim = applied(story.before, story.seed)
    made = plan(story.after, sim.world(), **LOOSE)
    assert planfile.load(planfile.dump(made)) == made


def _changed(change: Callable[[dict[str, object]], None]) -> str:
    plain = json.loads(planfile.dump(cases.hello_again()))
    change(plain)
    return json.dumps(plain)


def test_a_newer_minor_version_opens_without_what_it_has_more() -> None:
    text = _changed(lambda plain: plain.update({"format_version": "1.9", "moods": ["blue"]}))
    assert planfile.load(text).steps == cases.hello_again().steps


def test_a_newer_major_version_is_refused() -> None:
    with pytest.raises(InvalidFleet, match=r"format 2\.0"):
        planfile.load(_changed(lambda plain: plain.update({"format_version": "2.0"})))


def test_a_plan_that_was_changed_by_hand_is_refused() -> None:
    with pytest.raises(InvalidFleet, match="was changed"):
        planfile.load(_changed(lambda plain: plain.update({"mark": "other"})))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "3", '{"format_version": "1.0"}', "\x00"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(InvalidFleet):
        planfile.load(text)


def test_the_approval_hash_stays_when_only_the_revision_moves() -> None:
    one = cases.hello()
    world = applied(one).world()
    two = cases.change(one, "front", args=("--new",))
    first, second = (plan(two, world, revision=Revision(commit=commit)) for commit in ("a" * 40, "b" * 40))
    assert planfile.plan_hash(first) != planfile.plan_hash(second)
    assert approval_hash(first) == approval_hash(second)


def test_the_approval_hash_moves_with_what_is_done_and_with_overrides() -> None:
    one = cases.hello()
    world = applied(one).world()
    hashes = {
        approval_hash(made)
        for made in (
            plan(one, world),
            plan(cases.change(one, "front", args=("--new",)), world),
            plan(cases.change(one, "front", args=("--newer",)), world),
            plan(cases.change(one, "front", args=("--new",)), world, allow_destroy=3),
            plan(one, world, replace=("front-0",)),
        )
    }
    assert len(hashes) == 5


def test_what_is_kept_needs_no_approval() -> None:
    assert rows(cases.CASES["converged_fleet_keeps_everything"]()) == ()
