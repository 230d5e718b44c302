"""Another unictl than the one that started a fleet: what watches over it changes its code, and nobody notices."""

import json
import shutil
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

import unictl
from tests.operations.fleets import TryFleet

pytestmark = pytest.mark.real
UNICTL = Path(unictl.__file__).parent


def _supervisor(fleet: TryFleet) -> tuple[int, str]:
    """Process and code of the fleet's supervisor."""
    (noted,) = fleet.root.glob("run/*/code")
    return int((noted.parent / "lock").read_text()), noted.read_text()


def _another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unictl whose host side differs in a comment, in sight from here on."""
    shutil.copytree(UNICTL, folder / "unictl", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "unictl" / "onhost" / "supervision" / "daemon.py").open("a") as file:
        file.write("# Another.\n")
    monkeypatch.chdir(folder)


def test_the_supervisor_takes_the_code_of_the_unictl_that_applies_and_stays_the_parent_of_its_guests(
    fleet: TryFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.edit("replicas: 3", "replicas: 1")
    assert fleet.apply().code == 0
    before, guests = _supervisor(fleet), {name: fleet.pid(name) for name in ("counter-0", "front-0")}
    _another(tmp_path, monkeypatch)
    fleet.edit("--greeting=hello", "--greeting=anew")
    applied = fleet.apply()
    assert applied.code == 0, applied.out + applied.err
    after = _supervisor(fleet)
    assert after[0] == before[0] and after[1] != before[1]
    assert fleet.pid("counter-0") == guests["counter-0"]
    record = json.loads(next(fleet.root.glob("fleets/*/instances/counter-0.*/record.json")).read_text())
    port = record["run"]["forwards"][0]["host"]
    urlopen(Request(f"http://127.0.0.1:{port}/behave/exit/3", method="POST"), timeout=10).read()
    ends = next(fleet.root.glob("fleets/*/instances/counter-0.*/run-log.jsonl"))
    while '"ended"' not in ends.read_text():
        assert fleet.processes()
    told = json.loads(ends.read_text().splitlines()[1])
    assert (told["verdict"], told["status"], told["code"]) == ("failure", 7, 3)
    assert fleet.apply().code == 0
    assert _supervisor(fleet) == after
