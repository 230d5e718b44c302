"""Stores of other ages: the layout of format 1 is read as it lies in ``fixtures``, a newer one is left alone."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import unictl
from tests.onhost.world import OWNER, World, document, short_folder
from unictl.journal.ledger_entry import LedgerEntry
from unictl.onhost import errors
from unictl.onhost.instances import record_file
from unictl.onhost.storage import layout

LAYOUT = Path(__file__).parents[1] / "fixtures" / "layout-1"
OLD = "hello-f0f0f0"


@pytest.fixture
def old() -> Iterator[World]:
    """A store that an earlier unictl left, after a reboot of its host."""
    folder = short_folder()
    shutil.copytree(LAYOUT / "root", folder, dirs_exist_ok=True)
    for empty in ("images", "run"):
        os.mkdir(f"{folder}/{empty}")
    made = World(folder)
    try:
        yield made
    finally:
        made.close()


def tree(world: World) -> dict[str, bytes]:
    root = Path(world.root.path)
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def survey(world: World) -> dict[str, Any]:
    return world.do("survey", owner=OLD, mark="hello", full={})


def test_a_survey_reads_what_lies_in_a_store_of_format_1(old: World) -> None:
    told = survey(old)
    rows = {f"{row['name']}.{row['generation']}": row for row in told["instances"]}
    assert {key: row["state"] for key, row in rows.items()} == {
        "counter-0.d3c26168": "lost",
        "front-0.7bf84126": "lost",
        "front-1.245d9f6e": "lost",
    }
    assert rows["front-0.7bf84126"]["launch"] == 2
    assert rows["front-0.7bf84126"]["proven"] is True
    assert rows["counter-0.d3c26168"]["volumes"] == ["count"]
    assert told["retired"] == {"front-0": 1}
    assert [volume["name"] for volume in told["volumes"]] == ["count"]
    assert told["gates"] == []
    assert told["policy"]["max_destroy"] == "20%"
    assert told["hosts"] == "local 72975bb58bbdb90eaafa88e5f477ade7 ingress"
    assert told["host"]["id"] == "72975bb58bbdb90eaafa88e5f477ade7"


def test_its_ledger_is_read_and_goes_on(old: World) -> None:
    token = old.acquire(owner=OLD, mark="hello", id="f0f0f0")
    assert token == 3
    old.do("append-ledger", owner=OLD, entry={"end": "complete"})
    entries = old.do("read-ledger", owner=OLD, limit=0)["entries"]
    assert [LedgerEntry.from_json(entry).end for entry in entries] == ["complete"] * 3
    assert [entry["token"] for entry in entries] == [1, 2, 3]


def test_its_instances_are_retired_and_nothing_is_left_of_the_fleet_but_what_is_kept(old: World) -> None:
    old.acquire(owner=OLD, mark="hello", id="f0f0f0")
    for row in survey(old)["instances"]:
        assert old.do("retire", owner=OLD, key=f"{row['name']}.{row['generation']}", grace=0, keep=5)["there"]
    assert survey(old)["instances"] == []
    old.do("collect-garbage", owner=OLD, end=True)
    assert sorted(os.listdir(old.root.fleet(OLD))) == ["retired", "volumes"]


def newer(world: World) -> str:
    told = {"format": 3, "readable_from": 2, "unictl": "4.1.0"}
    Path(world.root.path, "format").write_text(json.dumps(told))
    return f"{world.root.path} was written by unictl 4.1.0"


def test_a_newer_store_is_refused_by_name_and_nothing_in_it_is_touched(old: World) -> None:
    said = newer(old)
    before = tree(old)
    with pytest.raises(errors.HostError) as problem:
        old.root.prepare()
    assert said in problem.value.text
    assert "upgrade unictl" in problem.value.hint
    assert tree(old) == before


def test_a_store_that_a_newer_one_wrote_so_that_we_can_read_it_is_read(old: World) -> None:
    told = {"format": 2, "readable_from": 1, "unictl": "2.0.0", "more": {}}
    Path(old.root.path, "format").write_text(json.dumps(told))
    old.root.prepare()
    assert len(survey(old)["instances"]) == 3
    assert json.loads(Path(old.root.path, "format").read_text()) == told


def test_a_record_of_a_newer_format_is_not_taken_for_a_damaged_one(held: World) -> None:
    held.launch(document())
    path = Path(held.root.instance(OWNER, "web-0.0123abcd"), "record.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 9, "unictl": "4.1.0"}))
    with pytest.raises(errors.HostError) as problem:
        held.survey()
    assert problem.value.kind == "newer-format"
    assert "the record of web-0.0123abcd was written by unictl 4.1.0" in problem.value.text


def test_what_is_unknown_in_a_record_is_ignored_and_kept(held: World) -> None:
    held.launch(document())
    path = Path(held.root.instance(OWNER, "web-0.0123abcd"), "record.json")
    more = {**json.loads(path.read_text()), "mood": "good"}
    path.write_bytes(record_file.encode_record({name: value for name, value in more.items() if name != "digest"}))
    assert held.states() == {"web-0.0123abcd": "running"}
    held.do("set-marks", key="web-0.0123abcd", protect=True)
    assert json.loads(path.read_text())["mood"] == "good"
    held.retire("web-0.0123abcd", grace=0)
    assert held.survey()["retired"] == {"web-0": 1}


@pytest.mark.parametrize("part", ["policy", "hosts", "fleet"])
def test_a_torn_file_of_what_was_applied_is_nothing_remembered_and_no_failure(old: World, part: str) -> None:
    path = Path(old.root.fleet(OLD), f"{part}.json")
    path.write_text(path.read_text()[:-3])
    told = survey(old)
    assert len(told["instances"]) == 3
    assert part == "fleet" or told[part] is None


def test_the_store_says_which_version_wrote_it(world: World) -> None:
    told = json.loads(Path(world.root.path, "format").read_text())
    assert told == {"format": layout.FORMAT, "readable_from": layout.READABLE_FROM, "unictl": unictl.__version__}
