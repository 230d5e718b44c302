"""How long a plan may take, from what earlier applies took."""

import json
from dataclasses import replace
from typing import Any

from tests.plan import builders
from tests.plan.worlds import applied
from unictl.fleet.model import Policy, Probe
from unictl.fleet.quantities import Share
from unictl.instances.observed.survey_facts import ApplyDurations
from unictl.journal.event import Finished, Started
from unictl.journal.ledger_entry import LedgerEntry, from_report
from unictl.journal.report import ALREADY_PRESENT, from_events
from unictl.operations.request import ApplyOptions
from unictl.plan.estimates import duration
from unictl.plan.file import planfile
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.payloads import StageData
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step, StepKind
from unictl.plan.planner import build
from unictl.views import markdown
from unictl.views.html import page
from unictl.views.text.layout import plain_text
from unictl.views.text.plan_text import render as shown

TOOK = {"stage": (1000, 1), "launch": (500, 4), "prove": (2000, 4), "join": (300, 2), "remember": (10, 1)}


def _planned(*applies: ApplyDurations, hosts: int = 2) -> Plan:
    fleet = builders.fleet(builders.service("api", replicas=4), hosts=hosts)
    return builders.plan(fleet, builders.empty(fleet, applies=applies))


def _text(made: Plan) -> str:
    return "\n".join(plain_text(line) for line in shown(made))


def test_the_longest_path_at_earlier_costs_is_shown_once() -> None:
    made = _planned(ApplyDurations(at=1.0, took=TOOK))
    assert made.facts.seconds == 4
    assert _text(made).count("Takes about 4 s, as earlier applies did.") == 1


def test_a_comment_and_a_page_say_it_too() -> None:
    made = _planned(ApplyDurations(at=1.0, took=TOOK))
    assert all("Takes about 4 s, as earlier applies did" in view(made) for view in (markdown.render, page.render))


def test_every_host_keeps_the_same_entry_and_it_counts_once() -> None:
    old, new = ApplyDurations(at=1.0, took=TOOK), ApplyDurations(at=2.0, took=TOOK | {"prove": (8000, 4)})
    assert _planned(old, new).facts == replace(_planned(new, old, old, hosts=3).facts, seconds=7)


def test_only_the_last_applies_count() -> None:
    slow = ApplyDurations(at=1.0, took=TOOK | {"prove": (900_000, 4)})
    assert _planned(slow, *(ApplyDurations(at=at, took=TOOK) for at in (2.0, 3.0, 4.0))).facts.seconds == 4


def test_so_many_that_they_wait_for_each_other_take_longer_than_the_longest_path() -> None:
    assert ApplyOptions().parallelism == duration.MAX_STEPS_IN_FLIGHT
    fleet = builders.fleet(builders.service("api", replicas=400), hosts=20)
    made = builders.plan(fleet, builders.empty(fleet, applies=(ApplyDurations(at=1.0, took=TOOK),)))
    assert 400 * 0.5 / 10 <= made.facts.seconds <= 25


def test_before_the_first_apply_the_times_of_the_checks_are_told_as_what_it_takes_at_least() -> None:
    made = _planned()
    assert (made.facts.seconds, made.facts.seconds_at_least) == (2, "checks")
    assert "Takes at least 2 s: what starts has to stay healthy for that long." in _text(made)


def test_with_a_kind_of_step_never_seen_the_rest_is_told_as_what_it_takes_at_least() -> None:
    made = _planned(ApplyDurations(at=1.0, took={"stage": (3000, 1), "prove": (2000, 4)}))
    assert (made.facts.seconds, made.facts.seconds_at_least) == (5, "unseen")
    assert "Takes at least 5 s; not all of its steps have been done before." in _text(made)


def test_nothing_is_said_where_nothing_is_known_or_nothing_takes_time() -> None:
    quick = Probe(kind="http", path="/", port="http", min_healthy_time=0)
    fleet = builders.fleet(builders.service("api", health=(quick,)))
    assert builders.plan(fleet, builders.empty(fleet)).facts.seconds is None
    sim = applied(fleet)
    remembering = builders.plan(replace(fleet, policy=Policy(max_destroy=Share(number=3))), sim.world())
    assert remembering.facts.seconds is None


def test_a_check_passes_no_sooner_than_it_has_to_pass_for_whatever_others_took() -> None:
    slow = Probe(kind="http", path="/", port="http", min_healthy_time=60_000)
    fleet = builders.fleet(builders.service("api", health=(slow,)))
    made = builders.plan(fleet, builders.empty(fleet, applies=(ApplyDurations(at=1.0, took=TOOK),)))
    assert 60 <= made.facts.seconds <= 63 and not made.facts.seconds_at_least


def test_a_large_image_takes_as_long_as_earlier_ones_by_the_byte() -> None:
    def seconds(size: int, staged: tuple[int, int] = (0, 0)) -> Any:
        fleet = builders.fleet(builders.service("api"))
        facts = {"app": {"kernel": replace(builders.facts(fleet)["app"]["kernel"], size=size)}}
        world = builders.empty(fleet, applies=(ApplyDurations(at=1.0, took=TOOK, staged=staged),))
        made = build(fleet, facts, builders.endpoints(fleet), world, revision=builders.REVISION, options=PlanOptions())
        return made.facts.seconds

    ten = (10 << 20, 2000)
    assert seconds(200 << 20, ten) - seconds(10 << 20, ten) == 38
    few = (1 << 20, 2000)
    assert seconds(200 << 20, few) == seconds(10 << 20, few) == seconds(10 << 20)


def test_what_was_there_already_tells_nothing_of_how_long_an_image_takes() -> None:
    stage = Step(id="stage:hv1:a", kind=StepKind.STAGE, host="hv1", data=StageData(digest="a", size=5 << 20))
    other = replace(stage, id="stage:hv2:a", host="hv2")
    events = [
        *(Started(at=0.0, step=each) for each in (stage, other)),
        Finished(at=2.0, step=stage, text="5 MiB, 5 MiB sent"),
        Finished(at=0.1, step=other, text=ALREADY_PRESENT),
    ]
    made = from_report(_planned(), from_events(events), at=1.0, user="ops")
    assert (made.staged, made.took) == ((5 << 20, 2000), {"stage": (2000, 1)})
    assert LedgerEntry.from_json(made.to_json()) == made


def test_long_ones_are_told_in_minutes() -> None:
    assert "Takes about 10 min, as" in _text(_planned(ApplyDurations(at=1.0, took=TOOK | {"prove": (600_000, 4)})))


def test_the_estimate_is_in_no_hash_and_travels_in_the_plan_file() -> None:
    made = _planned(ApplyDurations(at=1.0, took=TOOK))
    assert planfile.plan_hash(made) == planfile.plan_hash(_planned())
    assert json.loads(planfile.dump(made))["facts"]["seconds"] == 4
