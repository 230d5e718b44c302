"""How long a plan may take, from what earlier applies took."""

import json
from collections.abc import Mapping
from typing import Any

from tests.plan import builders
from unictl.operations.request import ApplyOptions
from unictl.plan import duration, planfile
from unictl.plan.plan import Plan
from unictl.views import markdown, page
from unictl.views.layout import plain
from unictl.views.text import plan as shown

TOOK = {"stage": [1000, 1], "launch": [500, 4], "prove": [2000, 4], "join": [300, 2], "remember": [10, 1]}


def _planned(*applies: Mapping[str, Any], hosts: int = 2) -> Plan:
    fleet = builders.fleet(builders.service("api", replicas=4), hosts=hosts)
    return builders.plan(fleet, builders.empty(fleet, applies=applies))


def _text(made: Plan) -> str:
    return "\n".join(plain(line) for line in shown(made))


def test_the_longest_path_at_earlier_costs_is_shown_once() -> None:
    made = _planned({"at": 1.0, "took": TOOK})
    assert made.facts["seconds"] == 4
    assert _text(made).count("Takes about 4 s, as earlier applies did.") == 1


def test_a_comment_and_a_page_say_it_too() -> None:
    made = _planned({"at": 1.0, "took": TOOK})
    assert all("Takes about 4 s, as earlier applies did" in view(made) for view in (markdown.plan, page.plan))


def test_every_host_keeps_the_same_entry_and_it_counts_once() -> None:
    old, new = {"at": 1.0, "took": TOOK}, {"at": 2.0, "took": TOOK | {"prove": [8000, 4]}}
    assert _planned(old, new).facts == {**_planned(new, old, old, hosts=3).facts, "seconds": 7}


def test_only_the_last_applies_count() -> None:
    slow = {"at": 1.0, "took": TOOK | {"prove": [900_000, 4]}}
    assert _planned(slow, *({"at": at, "took": TOOK} for at in (2.0, 3.0, 4.0))).facts["seconds"] == 4


def test_so_many_that_they_wait_for_each_other_take_longer_than_the_longest_path() -> None:
    assert ApplyOptions().parallelism == duration.AT_ONCE
    fleet = builders.fleet(builders.service("api", replicas=400), hosts=20)
    made = builders.plan(fleet, builders.empty(fleet, applies=({"at": 1.0, "took": TOOK},)))
    assert 400 * 0.5 / 10 <= made.facts["seconds"] <= 25


def test_without_history_or_with_a_kind_of_step_never_seen_nothing_is_said() -> None:
    unseen = {kind: each for kind, each in TOOK.items() if kind != "prove"}
    for made in (_planned(), _planned({"at": 1.0, "took": unseen})):
        assert "seconds" not in made.facts
        assert "Takes about" not in _text(made)


def test_long_ones_are_told_in_minutes() -> None:
    assert "Takes about 10 min, as" in _text(_planned({"at": 1.0, "took": TOOK | {"prove": [600_000, 4]}}))


def test_the_estimate_is_in_no_hash_and_travels_in_the_plan_file() -> None:
    made = _planned({"at": 1.0, "took": TOOK})
    assert planfile.plan_hash(made) == planfile.plan_hash(_planned())
    assert json.loads(planfile.dump(made))["facts"]["seconds"] == 4
