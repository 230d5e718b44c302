"""A fleet under a new name: found where it lies, by that name only, and called so in one write."""

from typing import Any

import pytest

from tests.onhost.test_crash_law import killed
from tests.onhost.world import OWNER, Connection, World, document, short_folder
from unictl.onhost import errors
from unictl.onhost.storage import guarded_read

NEW = "depot-5f0c2a"
AS_DEPOT: dict[str, Any] = {"owner": NEW, "was": OWNER, "mark": "depot"}
DEPOT = {"mark": "depot", "id": "5f0c2a"}
KEY = "web-0.0123abcd"


def applied(world: World) -> None:
    """The fleet as shop, with one instance."""
    world.acquire()
    assert world.launch(document())[0]["ok"]
    world.release()


def rename(world: World) -> None:
    world.acquire(**AS_DEPOT)
    world.do("set-marks", **AS_DEPOT, key=KEY, protect=False)
    world.do("record-applied", **AS_DEPOT, policy={}, hosts=["a"], fleet=DEPOT)
    world.do("release", **AS_DEPOT)


def seen(world: World, **ask: Any) -> dict[str, Any]:
    return world.do("survey", **{"full": {}, **AS_DEPOT, **ask})


def states(told: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["state"] for row in told["instances"]}


def test_what_was_applied_under_the_former_name_is_the_fleet_s_and_goes_on_running(world: World) -> None:
    applied(world)
    pid = world.pid(KEY)
    assert seen(world)["name"]["called"] == OWNER and states(seen(world)) == {"web-0": "running"}
    rename(world)
    assert seen(world)["name"]["called"] == NEW and states(seen(world, was="")) == {"web-0": "running"}
    assert world.pid(KEY) == pid and world.alive(KEY)


def test_under_its_former_name_it_is_not_found_any_more_and_that_is_said(world: World) -> None:
    applied(world)
    rename(world)
    for request in ("survey", "lease", "logs"):
        with pytest.raises(errors.HostError, match="is called depot-5f0c2a by now") as told:
            world.do(request, mark="shop")
        assert told.value.kind == "renamed" and "`was: depot`" in told.value.hint


def test_it_can_have_its_former_name_again(world: World) -> None:
    applied(world)
    rename(world)
    back: dict[str, Any] = {"owner": OWNER, "was": NEW, "mark": "shop"}
    world.acquire(**back)
    world.do("record-applied", **back, policy={}, hosts=[], fleet={"mark": "shop", "id": "5f0c2a"})
    assert world.survey()["name"]["called"] == OWNER and world.states() == {KEY: "running"}


def test_an_apply_that_is_on_its_way_keeps_the_former_name_until_the_end(held: World) -> None:
    held.launch(document())
    held.release()
    held.acquire(**AS_DEPOT)
    assert held.survey()["name"]["called"] == OWNER


def test_under_both_names_there_is_one_lease(held: World) -> None:
    held.connection, mine = Connection(), held.connection
    with pytest.raises(errors.HostError) as told:
        held.acquire(**AS_DEPOT, wait=0)
    assert told.value.kind == "busy"
    held.connection = mine


def test_killed_at_any_point_it_has_one_of_the_names_and_the_same_command_goes_on() -> None:
    kill_before, whole = 1, False
    while not whole:
        world = World(short_folder())
        try:
            applied(world)
            pid = world.pid(KEY)
            whole, total = killed(world, kill_before, rename)
            whole = whole and total < kill_before
            assert seen(world)["name"]["called"] in (OWNER, NEW) and not seen(world)["name"]["both"]
            rename(world)
            assert seen(world, was="")["name"]["called"] == NEW and states(seen(world)) == {"web-0": "running"}
            assert world.pid(KEY) == pid and seen(world)["leftovers"] == 0, kill_before
            assert guarded_read.list_names(world.root.fleets) == [OWNER]
        finally:
            world.close()
        kill_before += 1
    assert kill_before > 5


def test_one_that_is_there_under_both_names_is_told_with_what_each_has(world: World) -> None:
    applied(world)
    world.acquire(owner=NEW, mark="depot")
    assert seen(world)["name"] == {"called": NEW, "both": [KEY], "kin": [], "former": []}
    assert states(seen(world)) == {}


def test_a_fleet_of_the_same_id_under_another_name_is_told_before_it_is_made_twice(world: World) -> None:
    applied(world)
    assert seen(world, was="")["name"] == {"called": "", "both": [], "kin": ["shop"], "former": []}
    staging = {"owner": "depot@staging-5f0c2a", "mark": "depot@staging", "was": ""}
    assert seen(world, **staging)["name"]["kin"] == []


def test_another_fleet_of_the_former_name_is_not_taken_over(world: World) -> None:
    applied(world)
    other = {"owner": "depot-0ddba11", "was": "shop-0ddba11"}
    assert seen(world, **other)["name"] == {"called": "", "both": [], "kin": [], "former": [OWNER]}
    assert states(seen(world, **other)) == {}


def test_others_are_told_its_new_name(world: World) -> None:
    world.acquire()
    run = document(forwards=[{"name": "http", "host": 18080, "bind": "127.0.0.1", "guest": 8080}])
    assert world.launch(run)[0]["ok"]
    world.release()
    rename(world)
    claims = world.do("survey", owner="other-1234", mark="other", full={})["claims"]
    assert {row["owner"] for row in claims if row["owner"]} == {NEW}


def test_what_stays_of_it_when_it_is_destroyed_is_found_by_its_new_name(world: World) -> None:
    world.acquire()
    world.do("volume", action="create", name="orders", size=4096)
    world.release()
    world.acquire(**AS_DEPOT)
    world.do("record-applied", **AS_DEPOT, policy={}, hosts=["a"], fleet=DEPOT)
    world.do("collect-garbage", owner=NEW, end=True)
    world.do("release", owner=NEW)
    assert [row["name"] for row in seen(world, was="")["volumes"]] == ["orders"]
