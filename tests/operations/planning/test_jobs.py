"""Jobs with real guests: healthy when they have ended well, kept until they change, and waited for."""

import pytest

from tests.operations.fleets import TryFleet

pytestmark = pytest.mark.real


def _with_job(fleet: TryFleet, exits: str) -> None:
    """A migration between the counter and the fronts."""
    fleet.edit("replicas: 3", "replicas: 1")
    fleet.edit(r"needs: \[counter\]", "needs: [migrate]")
    job = f"""  migrate:
    image: hello
    memory: 16MiB
    kind: job
    args: ["--exit={exits}"]
    needs: [counter]

  front:"""
    fleet.edit("  front:", job)


def test_a_job_runs_once_is_waited_for_and_stays_done_until_it_changes(fleet: TryFleet) -> None:
    _with_job(fleet, "0@700")
    applied = fleet.apply()
    assert applied.code == 0, applied.out + applied.err
    lines = applied.out.splitlines()
    ended = next(n for n, line in enumerate(lines) if line.startswith("migrate-0.") and "ended well on" in line)
    began = next(n for n, line in enumerate(lines) if line.startswith("front-0.") and "launched on" in line)
    assert ended < began
    row = fleet.rows()["migrate-0"]
    assert (row["state"], row["exit"]["verdict"]) == ("ended", "clean")
    again = fleet.plan()
    assert again.code == 0, again.out + again.err
    fleet.edit("--exit=0@700", "--exit=0@300")
    changed = fleet.plan()
    assert "migrate-0" in changed.out
    assert "front" not in changed.out.partition("Listens")[0]
    assert fleet.apply().code == 0
    assert fleet.rows()["migrate-0"]["generation"] != row["generation"]


def test_a_job_that_fails_says_its_code_and_what_it_printed_and_what_needs_it_does_not_start(fleet: TryFleet) -> None:
    _with_job(fleet, "3@300")
    applied = fleet.apply()
    assert applied.code != 0
    assert "code 3" in applied.out
    assert "exits with 3" in applied.out
    assert "front-0" not in fleet.rows()
    fleet.edit("--exit=3@300", "--exit=0@300")
    assert fleet.apply().code == 0
    assert "front-0" in fleet.rows()
