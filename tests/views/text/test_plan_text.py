"""The plan as text."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from tests.plan import builders
from tests.plan.builders import empty, fleet, service
from tests.views import samples
from unictl.fleet.model import Update
from unictl.fleet.quantities import Share
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.plan import Endpoint, Plan
from unictl.plan.model.plan_facts import PlanFacts, QueryCost
from unictl.plan.model.plan_host import Headroom
from unictl.plan.model.step import StepKind
from unictl.views import markdown
from unictl.views.html import page
from unictl.views.text import layout, plan_text

Golden = Callable[[str, str], None]


def _rendered(plan, **options) -> str:
    return layout.join_lines(plan_text.render(plan, 80, **options))


def _last(plan) -> str:
    return _rendered(plan).splitlines()[-1]


def test_a_plan_with_one_of_everything_reads_as_it_should(golden: Golden) -> None:
    golden("plan-everything.txt", _rendered(replace(samples.everything(), warnings=(), refusals=())))


def test_warnings_and_refusals_stand_between_the_rows_and_the_summary() -> None:
    shown = _rendered(samples.everything())
    assert shown.index("job-0") < shown.index(samples.WARNING.summary) < shown.index(samples.REFUSAL.summary)


def test_a_plan_without_changes_is_one_line() -> None:
    assert _rendered(samples.plan(samples.kept(41))) == "No changes. The hosts run what the fleet file says.\n"


def test_the_summary_line_is_exactly_what_is_promised() -> None:
    changes = (*samples.creates(2), *samples.bump(3), *samples.destroys(1), *samples.others()[:4], *samples.kept(41))
    assert _last(samples.plan(changes)) == "Plan: 2 to add, 3 to replace, 1 to destroy, 4 to adjust, 41 unchanged."


def test_unknown_and_held_are_counted_before_unchanged_only_where_there_are_any() -> None:
    changes = (*samples.others()[4:], *samples.kept(1))
    wanted = "Plan: 0 to add, 0 to replace, 0 to destroy, 0 to adjust, 12 unknown, 1 held, 1 unchanged."
    assert _last(samples.plan(changes)) == wanted


def test_a_silent_host_never_reads_as_no_changes() -> None:
    plan = samples.plan(samples.kept(2), silent={"hv2": "no route"})
    assert _last(plan) == "Plan: 0 to add, 0 to replace, 0 to destroy, 0 to adjust, 2 unchanged."
    assert "hv2 does not answer: no route." in _rendered(plan)


def test_a_thousand_equal_changes_fit_a_screen() -> None:
    shown = _rendered(samples.plan((*samples.bump(1000), *samples.kept(19_000))))
    assert len(shown.splitlines()) <= 40 and len(shown) <= 10_000
    assert "+/- api  1000 instances on 7 hosts  fleet.yaml:31:7" in shown


def test_one_image_bump_of_a_thousand_planned_instances_fits_a_screen() -> None:
    half = Update(max_parallel=Share(number=50, percent=True))
    services = (service(name, replicas=n, ports=(), health=(), update=half) for name, n in (("api", 600), ("web", 400)))
    one = fleet(*services, hosts=20)
    world = _running(builders.plan(one, empty(one)), empty(one))
    shown = _rendered(builders.plan(one, world, versions={"app": "2"}))
    assert shown.splitlines()[-1] == "Plan: 0 to add, 1000 to replace, 0 to destroy, 0 to adjust, 0 unchanged."
    assert len(shown.splitlines()) <= 40 and len(shown) <= 10_000


def _running(made: Plan, world: dict[str, Any]) -> dict[str, Any]:
    """The world in which all that a plan launches runs."""
    lives: dict[str, list[LiveInstance]] = {name: [] for name in world}
    for step in made.steps:
        if step.kind is StepKind.LAUNCH:
            document, known = step.data.document, {each.name for each in fields(LiveInstance)}
            row = {**document["run"], **document, "host": step.host, "state": "running"}
            given = {key: value for key, value in row.items() if key in known}
            lives[step.host].append(LiveInstance(**given | {"volumes": (), "images": tuple(row["images"])}))
    return {name: replace(said, instances=tuple(lives[name])) for name, said in world.items()}


def test_verbose_gives_every_instance_its_row() -> None:
    shown = _rendered(samples.plan(samples.bump(30)), verbose=True)
    assert sum(line.startswith("+/- api-") for line in shown.splitlines()) == 30
    assert samples.NEW in shown


def test_what_is_destroyed_is_never_folded() -> None:
    shown = _rendered(samples.plan(samples.destroys(300)))
    assert all(f"  - cache-{n} " in shown for n in range(300))


def test_destroys_come_first_then_replacements_stop_first_before_create_first() -> None:
    rows = _rendered(samples.everything()).split("\n\n")[1].splitlines()
    found = [row[:3].strip() for row in rows if row[:3].strip()]
    order = ["-", "-/+", "+/-", "+", "~", "?", "="]
    assert found == sorted(found, key=order.index) and set(found) == set(order)


def test_the_legend_explains_only_the_symbols_used() -> None:
    shown = _rendered(samples.plan(samples.creates(1)))
    assert "+ create" in shown and "destroy" not in shown.splitlines()[1] and "+/-" not in shown


def test_what_stays_is_not_listed() -> None:
    assert "calm" not in _rendered(samples.plan((*samples.bump(1), *samples.kept(5))))


def test_a_row_says_where_the_fleet_file_wants_it_and_the_columns_stand_still() -> None:
    lines = _rendered(samples.plan((*samples.bump(3), *samples.creates(2), samples.stop_first()))).splitlines()
    places = [line.index("fleet.yaml:") for line in lines if "fleet.yaml:" in line]
    assert len(places) == 3 and len(set(places)) == 1


def test_the_sentence_comes_before_the_code_that_machines_know_it_by() -> None:
    shown = _rendered(samples.plan(samples.bump(1)))
    assert "      The image changed. (replace_because_image)\n" in shown


def test_the_hosts_of_a_folded_row_are_named_or_counted() -> None:
    one, many = samples.plan(replace(each, host="hv1") for each in samples.bump(9)), samples.plan(samples.bump(9))
    assert "9 instances on hv1" in _rendered(one)
    assert "9 instances on 7 hosts" in _rendered(many) and "On hv0, hv1, hv2 and 4 more." in _rendered(many)


def test_stop_first_gives_its_reason() -> None:
    shown = " ".join(_rendered(samples.plan([samples.stop_first()])).split())
    assert "stop-first: its volume orders can be held by one instance at a time." in shown


def test_a_digest_is_shown_by_its_beginning() -> None:
    assert "image.kernel  a1b2c3d4a1b2 -> d4e5f6a7d4e5" in _rendered(samples.plan(samples.bump(2)))


def test_a_control_character_of_a_fleet_file_never_reaches_the_output() -> None:
    change = Change(action=Action.CREATE, subject="a\x1b]0;x\x07-0", host="h\r\x1b[2J", reason="create_because_absent")
    shown = _rendered(samples.plan([change]))
    assert not set(shown) & set(map(chr, [*range(10), *range(11, 32), 127]))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_of_prose_is_wider_than_asked(width: int) -> None:
    lines = plan_text.render(samples.everything(), width)[:-1]
    wide = [layout.plain_text(line) for line in lines if len(layout.plain_text(line)) > width]
    assert width < 80 or not wide


def test_notes_stand_right_before_the_summary() -> None:
    lines = _rendered(samples.plan(samples.creates(1)), next_steps=["To apply this: unictl apply"]).splitlines()
    assert lines[-3:] == ["To apply this: unictl apply", "", lines[-1]] and lines[-1].startswith("Plan: 1 to add")


def _tight(**hosts: tuple[int, int]) -> Plan:
    rows = {
        host: Headroom(memory=free << 20, total_memory=of << 20, cpus=1, cores=4, disk=1)
        for host, (free, of) in hosts.items()
    }
    return samples.plan(samples.bump(3), headroom=rows)


def test_what_is_free_at_the_tightest_moment_is_one_line_where_one_host_is_all() -> None:
    assert "\nTightest moment: 4.5 GiB of 23 GiB free on local\n" in _rendered(_tight(local=(4608, 23552)))
    assert "Tightest" not in _rendered(samples.plan(samples.bump(3)))


def test_the_tightest_hosts_come_first_and_roomy_ones_are_only_counted() -> None:
    made = _tight(hv1=(900, 1000), hv2=(100, 1000), hv3=(-5, 1000), hv10=(100, 1000), hv4=(700, 1000), hv5=(800, 1000))
    told = """
Tightest moment:
  0 B of 1000 MiB free on hv3
  100 MiB of 1000 MiB free on hv2, hv10
  more on 3 other hosts
"""
    assert told in _rendered(made)
    assert "  700 MiB of 1000 MiB free on hv4\n  800 MiB" in _rendered(made, verbose=True)


def test_a_thousand_hosts_have_at_most_five_lines_for_their_tightest_moment() -> None:
    made = _tight(**{f"hv{n}": (n, 5000) for n in range(1000)})
    told = _rendered(made).partition("Tightest moment:")[2].partition("\n\n")[0]
    assert told.count("\n") == 4 and told.endswith("more on 997 other hosts")


def test_many_endpoints_are_cut_and_verbose_shows_them() -> None:
    many = tuple(
        Endpoint(kind="endpoint", service=f"s{n}", port="http", address="10.0.0.1", number=20000 + n, hosts=("hv1",))
        for n in range(50)
    )
    plan = samples.plan(samples.creates(1), endpoints=many)
    assert "and 39 more (-verbose shows them)" in _rendered(plan)
    assert "s49.http" in _rendered(plan, verbose=True)


def test_a_refused_plan_shows_its_rows_and_says_so() -> None:
    shown = _rendered(samples.plan(samples.destroys(4), refusals=(samples.REFUSAL,)))
    assert "cache-3" in shown and samples.REFUSAL.summary in shown and "nothing was touched" in shown


def test_of_many_fields_a_dozen_lines_are_shown_and_all_where_that_is_wanted() -> None:
    fields = tuple(Field(path=f"s{n}.http.health.interval", old="100ms", new="200ms") for n in range(400))
    change = Change(action=Action.ADJUST, subject="ingress", reason="adjust_because_ingress", host="hv1", fields=fields)
    made = samples.plan([change])
    shown = [line for line in _rendered(made).splitlines() if "100ms" in line or "more" in line]
    assert len(shown) == 12 and shown[-1] == "      and 389 more (-verbose shows them)"
    assert layout.join_lines(plan_text.render(made, 80, verbose=True)).count("100ms -> 200ms") == 400


def test_a_reason_nobody_has_words_for_is_still_said() -> None:
    change = Change(action=Action.REPLACE, subject="api-0", reason="replace_because_moon_phase", host="hv1")
    shown = _rendered(samples.plan([change]))
    assert "replace_because_moon_phase" in shown and "Replaced because of: moon phase." in shown


def test_what_fleet_lock_was_given_is_said_also_where_nothing_else_changes() -> None:
    words = ["image hello.kernel 2b888b57715b -> 4a0bbf194adb", "endpoint zed.http 23102"]
    shown = _rendered(samples.plan(samples.kept(1), facts=PlanFacts(relocked=tuple(words))))
    told = "fleet.lock: image hello.kernel 2b888b57715b -> 4a0bbf194adb, endpoint zed.http 23102; commit it"
    assert shown.split("\n\n")[0].replace("\n", " ") == told
    assert shown.splitlines()[-1] == plan_text.NO_CHANGES


def test_what_fleet_lock_was_given_stands_in_the_comment_and_on_the_page_too() -> None:
    made = samples.plan(samples.bump(2), facts=PlanFacts(relocked=("endpoint zed.http 23102",)))
    for shown in (markdown.render(made), page.render(made)):
        assert "fleet.lock: endpoint zed.http 23102; commit it" in shown


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"hv1": (1, 210), "hv2": (1, 414)}, "Asked 2 hosts, 1 round trip each, the slowest hv2 in 0.41 s."),
        ({"hv1": (2, 1500), "hv2": (1, 20)}, "Asked 2 hosts, 1 to 2 round trips each, the slowest hv1 in 1.50 s."),
        ({"hv1": (1, 35)}, "Asked hv1: 1 round trip, 0.04 s."),
    ],
)
def test_what_asking_the_hosts_took_is_one_line_where_everything_is_shown(
    asked: dict[str, tuple[int, int]], told: str
) -> None:
    reached = {host: QueryCost(round_trips=trips, took_ms=took) for host, (trips, took) in asked.items()}
    made = replace(samples.plan(samples.bump(2)), facts=PlanFacts(reached=reached))
    assert told in layout.join_lines(plan_text.render(made, verbose=True)).splitlines()
    assert "round trip" not in layout.join_lines(plan_text.render(made))
