"""A plan as a comment."""

import re
from dataclasses import replace

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.views import samples
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.plan.file import approval, planfile
from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.plan import Plan
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
    comment = markdown.render(samples.plan((*samples.bump(3), *samples.destroys(1), *samples.kept(4))))
    assert comment.index("Plan: 0 to add, 3 to replace, 1 to destroy") < comment.index("### Destroys 1")
    assert comment.index("### Destroys 1") < comment.index("<details") and "left out" not in comment


def test_a_huge_plan_is_cut_in_the_middle_and_stays_under_the_limit() -> None:
    comment = markdown.render(samples.plan((*samples.destroys(40), *_different(3000))))
    assert len(comment) < 65_000 and re.search(r"# \.\.\. \d+ lines left out \.\.\.", comment)
    assert all(f"cache-{n} " in comment for n in range(40))
    assert "s0-0" in comment and "s2999-0" in comment


def test_no_destroy_is_ever_cut() -> None:
    comment = markdown.render(samples.plan((*samples.destroys(2000), *_different(2000))))
    assert len(comment) < 65_000
    assert all(re.search(rf"\bcache-{n}\b", comment) for n in range(2000))


def test_ten_thousand_destroys_are_still_all_named() -> None:
    volume = Change(action=Action.DESTROY, subject="volume:old", host="hv1", reason="destroy_because_volume_named")
    comment = markdown.render(samples.plan((*samples.destroys(10_000), volume)))
    assert len(comment) < 65_000 and "cache-0..9999" in comment and "volume:old" in comment


def test_text_of_a_fleet_file_cannot_leave_its_fence() -> None:
    change = Change(
        action=Action.REPLACE,
        subject="api-0",
        host="hv1",
        reason="replace_because_args",
        fields=(Field(path="args[0]", old="a", new="```` <img src=x> @everyone"),),
    )
    comment = markdown.render(samples.plan([change]))
    fences = re.findall(r"^(`{3,})(?:diff)?$", comment, re.MULTILINE)
    assert sorted(map(len, fences)) == [5, 5]


def test_a_title_cannot_become_markup() -> None:
    assert "\\[x\\]" in markdown.render(samples.plan(samples.creates(1)), title="[x](http://y)")


def test_the_first_line_is_hidden_and_names_the_fleet_the_plan_and_what_is_approved() -> None:
    made = samples.plan(samples.bump(2), mark="shop@staging")
    first, second, *_ = markdown.render(made).splitlines()
    hashes = f"plan={planfile.plan_hash(made)} approval={approval.approval_hash(made)}"
    assert (first, second) == (f"<!-- unictl mark=shop@staging {hashes} -->", "")
    hostile = markdown.render(samples.plan(samples.bump(2), mark="x--><script>"))
    assert hostile.splitlines()[0].startswith("<!-- unictl mark=x--script plan=")


def test_a_short_plan_is_open_and_a_long_one_folded() -> None:
    assert "<details open><summary>3 to replace</summary>" in markdown.render(samples.plan(samples.bump(3)))
    assert "<details><summary>300 to replace" in markdown.render(samples.plan(_different(300)))


def test_refusals_and_silent_hosts_stand_above_the_fold() -> None:
    comment = markdown.render(samples.everything())
    head = comment[: comment.index("<details")]
    assert "**Refused, for 1 reason**" in head and samples.REFUSAL.summary in head and "hv9 does not answer" in head


def test_a_plan_that_destroys_more_than_can_be_named_says_so_first() -> None:
    many = (
        Change(action=Action.DESTROY, subject=f"{'x' * 34}{n}-0", host="hv1", reason="destroy_because_not_in_fleet")
        for n in range(10_000)
    )
    comment = markdown.render(samples.plan(many))
    assert len(comment) < 65_000 and "### Destroys 10000, more than a comment can name" in comment


NAMES = st.from_regex("[a-z][a-z0-9-]{0,30}[a-z0-9]-[0-9]{1,3}", fullmatch=True)
TEXTS = st.one_of(st.text(max_size=40), st.text(alphabet="`~-<!&\n @x", max_size=300), st.just("long " * 900))


@st.composite
def changes(draw: st.DrawFn) -> Change:
    action = draw(st.sampled_from([*Action, Action.DESTROY]))
    fields = draw(st.lists(st.builds(Field, path=TEXTS, old=TEXTS, new=TEXTS), max_size=3))
    return Change(
        action=action,
        subject=draw(NAMES) if action is Action.DESTROY else draw(TEXTS),
        service=draw(TEXTS),
        host=draw(TEXTS),
        reason=draw(TEXTS),
        detail=draw(TEXTS),
        fields=tuple(fields),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    found = draw(st.lists(changes(), max_size=12)) * draw(st.sampled_from([1, 1, 3]))
    numbered = [replace(each, subject=f"{each.subject}{n:03}") for n, each in enumerate(found)]
    problems = st.lists(st.builds(Diagnostic, code=st.just("x"), summary=TEXTS, detail=TEXTS, hint=TEXTS), max_size=30)
    return samples.plan(
        (*numbered, *samples.destroys(draw(st.sampled_from([0, 0, 3, 500, 4000])))),
        silent=draw(st.dictionaries(TEXTS, TEXTS, max_size=9)),
        refusals=tuple(draw(problems)),
        warnings=tuple(draw(problems)),
        partial=draw(TEXTS),
        mark=draw(TEXTS),
    )


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    # What fails is large, and is found as fast without being made smaller.
    phases=[Phase.generate],
)
@given(plan=plans())
def test_any_plan_fits_a_comment_with_every_destroy_in_sight(plan: Plan) -> None:
    comment = markdown.render(plan)
    assert len(comment) < 65_000
    seen = comment.partition("<details")[0]
    for change in plan.changes:
        if change.action is Action.DESTROY and not change.subject.startswith("cache-"):
            assert re.search(rf"{change.subject}\b", seen), change.subject
    caches = sum(each.subject.startswith("cache-") for each in plan.changes)
    assert not caches or "cache-0..3999" in seen or f"cache-{caches - 1}" in seen
    assert _outside_of_fences(comment).count("<") == 1 + 4 * ("<details" in comment)


def _outside_of_fences(comment: str) -> str:
    """What a forge reads as markup."""
    kept, fence = [], ""
    for line in comment.splitlines():
        ticks = re.match("`{3,}", line)
        if fence:
            fence = "" if line == fence else fence
        elif ticks:
            fence = ticks[0]
        else:
            kept.append(re.sub(r"\\.", "", line))
    assert not fence
    return "\n".join(kept)


def test_nothing_to_do_is_short() -> None:
    comment = markdown.render(samples.plan(samples.kept(9)))
    assert "No changes." in comment and "<details>" not in comment
