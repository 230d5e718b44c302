"""A plan as a comment."""

import re

from tests.views import samples
from unictl.plan.change import Action, Change, Field
from unictl.views import markdown


def _different(number: int) -> tuple[Change, ...]:
    """Changes of which no two are equal, each with much to say."""
    return tuple(
        Change(
            action=Action.REPLACE,
            subject=f"s{n}-0",
            service=f"s{n}",
            host="hv1",
            reason="replace_because_args",
            order="create-first",
            fields=tuple(Field(path=f"args[{k}]", old=f"{n}-{k}-old", new=f"{n}-{k}-new") for k in range(5)),
        )
        for n in range(number)
    )


def test_a_small_plan_is_whole_and_begins_with_its_summary() -> None:
    comment = markdown.plan(samples.plan((*samples.bump(3), *samples.destroys(1), *samples.kept(4))))
    assert comment.index("Plan: 0 to add, 3 to replace, 1 to destroy") < comment.index("### Destroys 1")
    assert comment.index("### Destroys 1") < comment.index("<details>") and "left out" not in comment


def test_a_huge_plan_is_cut_in_the_middle_and_stays_under_the_limit() -> None:
    comment = markdown.plan(samples.plan((*samples.destroys(40), *_different(3000))))
    assert len(comment) < 65_000 and re.search(r"# \.\.\. \d+ lines left out \.\.\.", comment)
    assert all(f"cache-{n} " in comment for n in range(40))
    assert "s0-0" in comment and "s2999-0" in comment


def test_no_destroy_is_ever_cut() -> None:
    comment = markdown.plan(samples.plan((*samples.destroys(2000), *_different(2000))))
    assert len(comment) < 65_000
    assert all(re.search(rf"\bcache-{n}\b", comment) for n in range(2000))


def test_ten_thousand_destroys_are_still_all_named() -> None:
    volume = Change(action=Action.DESTROY, subject="volume:old", host="hv1", reason="destroy_because_volume_named")
    comment = markdown.plan(samples.plan((*samples.destroys(10_000), volume)))
    assert len(comment) < 65_000 and "cache-0..9999" in comment and "volume:old" in comment


def test_text_of_a_fleet_file_cannot_leave_its_fence() -> None:
    change = Change(
        action=Action.REPLACE,
        subject="api-0",
        host="hv1",
        reason="replace_because_args",
        fields=(Field(path="args[0]", old="a", new="```` <img src=x> @everyone"),),
    )
    comment = markdown.plan(samples.plan([change]))
    fences = re.findall(r"^(`{3,})(?:diff)?$", comment, re.MULTILINE)
    assert set(map(len, fences)) == {5}


def test_a_title_cannot_become_markup() -> None:
    assert "\\[x\\]" in markdown.plan(samples.plan(samples.creates(1)), title="[x](http://y)")


def test_nothing_to_do_is_short() -> None:
    comment = markdown.plan(samples.plan(samples.kept(9)))
    assert "No changes." in comment and "<details>" not in comment
