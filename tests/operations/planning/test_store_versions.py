"""A store of an earlier unictl under this one: everything is kept as it was, and taken over; a newer one is refused."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.fleets import PLAYBOOK, TryFleet

pytestmark = pytest.mark.real
LAYOUT = Path(__file__).parents[2] / "onhost" / "fixtures" / "layout-1"


@pytest.fixture
def old() -> Iterator[TryFleet]:
    """The fleet of the fixture beside its store."""
    with tempfile.TemporaryDirectory(prefix="unictl-", dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        made = TryFleet(Path(place))
        shutil.copy(PLAYBOOK / "hello.elf", made.folder)
        shutil.copy(LAYOUT / "fleet.lock", made.folder)
        text = (LAYOUT / "fleet.yaml").read_text()
        (made.folder / "fleet.yaml").write_text(text.replace("root: ROOT", f"root: {made.root}"))
        shutil.copytree(LAYOUT / "root", made.root)
        for empty in ("images", "run"):
            (made.root / empty).mkdir(mode=0o711)
        data = made.root / "fleets" / "hello-f0f0f0" / "volumes" / "count" / "data"
        data.write_bytes(bytes(1 << 20))
        yield made
        made.run("destroy", "-auto-approve")
        assert made.processes() == []


def test_the_same_generations_run_on_and_nothing_is_replaced_or_destroyed(old: TryFleet) -> None:
    planned = old.plan()
    assert planned.code == 2, planned.out + planned.err
    assert "3 to add, 0 to replace, 0 to destroy" in planned.out
    assert "lost when the host rebooted" in " ".join(planned.out.split())
    applied = old.apply()
    assert applied.code == 0, applied.out + applied.err
    generations = {name: row["generation"] for name, row in old.rows().items()}
    assert generations == {"counter-0": "d3c26168", "front-0": "7bf84126", "front-1": "245d9f6e"}
    assert old.plan().code == 0


def test_a_store_of_a_newer_unictl_is_refused_and_left_as_it_is(old: TryFleet) -> None:
    told = old.root / "format"
    before = told.read_text()
    told.write_text(json.dumps({"format": 3, "readable_from": 2, "unictl": "4.1.0"}))
    left = sorted(str(path) for path in old.root.rglob("*"))
    for ran in (old.plan(), old.apply()):
        assert ran.code == 6, ran.out + ran.err
        assert "was written by unictl 4.1.0" in " ".join(ran.out.split())
        assert "upgrade unictl" in ran.out
    assert sorted(str(path) for path in old.root.rglob("*")) == left
    told.write_text(before)
