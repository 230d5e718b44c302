"""Any instant may be the last: killed at every step boundary, the same command again converges."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.operations.fleets import TryFleet

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[3]


def die(fleet: TryFleet, last: int, victim: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.operations.planning.killed_apply", str(fleet.folder), str(last), victim]
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)


def small(fleet: TryFleet) -> None:
    """One counter with its volume and one front, quickly proven: every kind of step, few of each."""
    fleet.edit("replicas: 3", "replicas: 1")
    fleet.edit("min_healthy_time: 500ms", "min_healthy_time: 50ms, healthy_deadline: 10s")


def converged(fleet: TryFleet) -> None:
    """One process an instance, one folder an instance, nothing half-made, and nothing left to do."""
    names = [row["name"] for row in fleet.run("status", "-json").json["instances"]]
    assert sorted(names) == ["counter-0", "front-0"]
    for name in names:
        fleet.pid(name)
    folders = [path.name for path in fleet.root.glob("fleets/*/instances/*")]
    assert len(folders) == 2, folders
    again = fleet.plan()
    assert again.code == 0, again.out + again.err


def change(fleet: TryFleet, turn: int) -> None:
    fleet.edit("--greeting=[a-z0-9]+", f"--greeting=turn{turn}")


strides = pytest.mark.parametrize(
    "stride", [pytest.param(6, id="some"), pytest.param(1, id="every", marks=pytest.mark.soak)]
)
"""By default some boundaries, and in the long run every one."""
victims = pytest.mark.parametrize("victim", ["control", "host"])


@strides
@victims
def test_killed_at_a_boundary_of_a_first_apply_the_next_one_converges(
    fleet: TryFleet, victim: str, stride: int
) -> None:
    small(fleet)
    point = 1
    while True:
        done = die(fleet, point, victim)
        applied = fleet.apply("-lock-timeout", "30s")
        assert applied.code == 0, f"at {point}: {applied.out}{applied.err}"
        converged(fleet)
        assert fleet.run("destroy", "-auto-approve").code == 0
        if done.stdout.strip() and int(done.stdout) < point:
            break
        point += stride
    assert point > 15


@strides
@victims
def test_killed_at_a_boundary_of_a_replacement_the_next_one_converges(
    fleet: TryFleet, victim: str, stride: int
) -> None:
    small(fleet)
    assert fleet.apply().code == 0
    point = 1
    while True:
        change(fleet, point)
        done = die(fleet, point, victim)
        applied = fleet.apply("-lock-timeout", "30s")
        assert applied.code == 0, f"at {point}: {applied.out}{applied.err}"
        converged(fleet)
        if done.stdout.strip() and int(done.stdout) < point:
            break
        point += stride
    assert point > 10
