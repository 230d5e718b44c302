"""A plan as a file: the same bytes for the same plan, everything back when read, and what is not ours refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan import builders, cases
from tests.plan.builders import empty, fleet, plan, service
from tests.plan.test_laws import SETTINGS
from tests.plan.worlds import LOOSE, Story, applied, stories
from unictl.declaration.load import load_fleet
from unictl.diagnostics.failure import InvalidFleet
from unictl.fleet.model import Policy
from unictl.fleet.quantities import Share
from unictl.plan.file import planfile
from unictl.plan.file.approval import approval_hash, reviewed_rows
from unictl.plan.model.revision import Revision
from unictl.views import documents

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas" / "fleet.schema.json").read_text())


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


def test_a_file_of_the_first_format_still_opens() -> None:
    made = planfile.load((Path(__file__).parent / "formats" / "1.0.plan").read_text())
    assert [(each.action.value, each.subject) for each in made.changes][:2] == [
        ("keep", "counter-0"),
        ("replace", "front-0"),
    ]
    assert "launch:front-0.af441d55" in {step.id for step in made.steps} and made.can_apply


def test_in_a_file_of_format_1_1_each_host_has_its_own_list_of_what_to_remember() -> None:
    text = (Path(__file__).parent / "formats" / "1.1.plan").read_text()
    assert "remembered" not in json.loads(text)
    assert planfile.load(text).steps == cases.CASES["policy_that_changed_is_remembered"]().steps


def test_what_all_hosts_are_to_remember_stands_once_in_the_file() -> None:
    crowd = fleet(service("api"), hosts=40)
    sim = applied(crowd)
    made = plan(replace(crowd, policy=Policy(max_destroy=Share(number=3))), sim.world())
    steps = [step for step in planfile.plan_document(made)["steps"] if step["kind"] == "remember"]
    assert len(steps) == 40 and not any("data" in step for step in steps)
    assert planfile.load(planfile.dump(made)).steps == made.steps


def test_what_is_free_at_the_tightest_moment_is_in_no_hash_and_may_be_absent() -> None:
    made = cases.hello_again()
    again = planfile.load(_changed(lambda plain: plain.pop("headroom")))
    assert made.headroom and not again.headroom
    assert planfile.plan_hash(again) == planfile.plan_hash(made)
    with pytest.raises(InvalidFleet, match="damaged"):
        planfile.load(_changed(lambda plain: plain.update(headroom={"hv1": {"memory": "all"}})))


def test_a_newer_major_version_is_refused_and_says_to_upgrade() -> None:
    with pytest.raises(InvalidFleet, match=r"written by a newer unictl: its format is 2\.0") as told:
        planfile.load(_changed(lambda plain: plain.update({"format_version": "2.0"})))
    assert told.value.code == 3 and told.value.hint.startswith("upgrade unictl")


def test_the_hash_stays_when_a_later_minor_version_knows_more() -> None:
    text = _changed(lambda plain: plain.update({"moods": [], "format_version": "1.9"}))
    assert planfile.plan_hash(planfile.load(text)) == planfile.plan_hash(cases.hello_again())


def test_what_json_prints_opens_as_a_plan_file() -> None:
    made = cases.hello_again()
    assert planfile.load(documents.to_text(documents.plan_document(made, {0}))) == made


@SETTINGS
@given(seed=st.integers(0, 1 << 30))
def test_the_order_of_files_and_keys_changes_no_byte(seed: int) -> None:
    random = Random(seed)
    texts = {name: json.dumps(_keys_shuffled(part, random)) for name, part in FILES.items()}
    shuffled = dict(random.sample(sorted(texts.items()), len(texts)))
    assert _planned(shuffled) == _planned({name: json.dumps(part) for name, part in FILES.items()})


FILES: dict[str, Any] = {
    "fleet.yaml": {
        "fleet": {"name": "shop", "id": "5f0c2a"},
        "include": ["services/*.yaml", "images.yaml"],
        "hosts": {"hv1": {"connect": "local"}},
        "volumes": {"orders": {"size": "1MiB"}, "mails": {"size": "2MiB"}},
        "templates": {"small": {"memory": "16MiB", "ports": {"http": 8080, "admin": 8081}, "image": "app"}},
    },
    "images.yaml": {"images": {"app": {"guest": "plain", "kernel": "a.elf"}, "db": {"guest": "plain", "kernel": "b"}}},
    "services/db.yaml": {"services": {"db": {"extends": "small", "image": "db", "volumes": {"data": "orders"}}}},
    "services/web.yaml": {
        "services": {
            "web": {"extends": "small", "replicas": 3, "needs": ["db"], "args": ["--db=${service.db.http}"]},
            "mail": {"extends": "small", "volumes": {"data": "mails"}, "publish": {"80": "http", "81": "admin"}},
        }
    },
}


def _keys_shuffled(value: Any, random: Random) -> Any:
    if isinstance(value, dict):
        return {key: _keys_shuffled(each, random) for key, each in random.sample(sorted(value.items()), len(value))}
    return value


def _planned(texts: dict[str, str]) -> str:
    loaded = load_fleet(texts, schema=SCHEMA)
    assert loaded.fleet is not None, loaded.problems
    return planfile.dump(plan(loaded.fleet, empty(loaded.fleet)))


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
    two = builders.change(one, "front", args=("--new",))
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
            plan(builders.change(one, "front", args=("--new",)), world),
            plan(builders.change(one, "front", args=("--newer",)), world),
            plan(builders.change(one, "front", args=("--new",)), world, allow_destroy=3),
            plan(one, world, replace=("front-0",)),
        )
    }
    assert len(hashes) == 5


def test_what_is_kept_needs_no_approval() -> None:
    assert reviewed_rows(cases.CASES["converged_fleet_keeps_everything"]()) == ()


def test_the_waves_and_their_rollback_come_back_as_records() -> None:
    made = cases.hello_again()
    waves = planfile.load(planfile.dump(made)).waves
    assert waves == made.waves
    assert any(wave.rollback.reverted for wave in waves)
