"""What a failed rollout leaves, with real guests: the old ones, all of them, and never a mixture without its name."""

import pytest

from tests.operations.fleets import TryFleet

pytestmark = pytest.mark.real

SECOND_FAILS = '"--greeting=servus", "--unhealthy-until=${instance.ordinal}00000"'
"""Healthy at once as replica 0, and not for 100 seconds as replica 1."""


def _impatient(fleet: TryFleet) -> None:
    fleet.edit("min_healthy_time: 500ms", "min_healthy_time: 100ms, healthy_deadline: 3s, timeout: 500ms")
    fleet.edit("replicas: 3", "replicas: 2")


def test_a_later_wave_that_fails_takes_the_earlier_ones_back_to_what_they_were(fleet: TryFleet) -> None:
    _impatient(fleet)
    assert fleet.apply().code == 0
    before = fleet.rows()
    fleet.edit('"--greeting=hello"', SECOND_FAILS)
    planned = fleet.plan()
    assert "back to" in planned.out, planned.out
    applied = fleet.apply()
    assert applied.code == 8, applied.out + applied.err
    assert "front is as it was before: front-0" in applied.out, applied.out
    after = fleet.rows()
    assert {name: row["fingerprint"] for name, row in after.items()} == {
        name: row["fingerprint"] for name, row in before.items()
    }
    assert after["front-1"]["generation"] == before["front-1"]["generation"]
    assert after["front-0"]["generation"] != before["front-0"]["generation"]
    assert after["front-0"]["health"] == "healthy"
    assert {fleet.get().splitlines()[0] for _ in range(4)} != set()
    assert all("servus" not in fleet.get() for _ in range(4))
    assert len(fleet.processes()) == len(set(fleet.processes()))
    assert len(list(fleet.root.glob("fleets/*/instances/*"))) == 3


def test_where_it_is_not_wanted_what_is_done_stays_and_the_mixture_is_named(fleet: TryFleet) -> None:
    _impatient(fleet)
    fleet.edit("    publish: ", "    update: {auto_revert: false}\n    publish: ")
    assert fleet.apply().code == 0
    fleet.edit('"--greeting=hello"', SECOND_FAILS)
    applied = fleet.apply()
    assert applied.code == 1, applied.out + applied.err
    assert "front is mixed: front-0 as planned, front-1 as before." in applied.out
    assert "servus" in "".join(fleet.get() for _ in range(4))


def test_what_had_to_stop_first_is_launched_anew_with_its_data(fleet: TryFleet) -> None:
    _impatient(fleet)
    assert fleet.apply().code == 0
    before = fleet.rows()["counter-0"]
    fleet.edit('"--count"', '"--count", "--mute"')
    planned = fleet.plan()
    assert "the data in volumes is not turned back" in " ".join(planned.out.split()), planned.out
    applied = fleet.apply()
    assert applied.code == 8, applied.out + applied.err
    after = fleet.rows()["counter-0"]
    assert after["fingerprint"] == before["fingerprint"]
    assert after["generation"] != before["generation"]
    assert after["health"] == "healthy"
    assert fleet.apply("-target", "front").code == 0
