"""A fleet under a new name takes over what runs, and touches none of it; what could be somebody else's is refused."""

import pytest

from tests.operations.fleets import TryFleet

pytestmark = pytest.mark.real


def _pids(fleet: TryFleet) -> dict[str, int]:
    return {name: fleet.pid(name) for name in sorted(fleet.rows())}


def test_a_renamed_fleet_keeps_its_processes_and_is_known_by_its_new_name_only(fleet: TryFleet) -> None:
    assert fleet.apply().code == 0
    before = _pids(fleet)
    assert "count: 1" in fleet.get()
    fleet.edit(r"name: hello, id: (\w+)", r"name: bonjour, id: \1")

    bare = fleet.plan()
    assert bare.code == 6 and "under the name hello" in _said(bare.out + bare.err), bare.out
    fleet.edit("name: bonjour", "name: bonjour, was: hello")
    planned = fleet.plan()
    assert planned.code == 2, planned.out + planned.err
    assert "adjust_because_fleet_renamed" in planned.out and " 0 to replace, 0 to destroy" in planned.out
    assert _pids(fleet) == before

    done = fleet.apply()
    assert done.code == 0, done.out + done.err
    assert _pids(fleet) == before
    assert "count: 2" in fleet.get()
    assert fleet.plan().code == 0
    fleet.edit(", was: hello", "")
    assert fleet.plan().code == 0
    assert fleet.logs("front-0").code == 0

    fleet.edit("name: bonjour", "name: hello")
    late = fleet.plan()
    assert late.code == 6 and "is called bonjour" in _said(late.out + late.err), late.out + late.err
    fleet.edit("name: hello", "name: hello, was: bonjour")
    assert fleet.apply().code == 0 and fleet.plan().code == 0
    assert _pids(fleet) == before


def _said(text: str) -> str:
    return " ".join(text.split())
