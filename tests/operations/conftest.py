"""Every test here gets a fleet of its own and takes it down at the end, whatever happened."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.fleets import TryFleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[TryFleet]:
    made = TryFleet(tmp_path)
    yield made
    made.edit("(?s)protect: true", "protect: false") if "protect: true" in made.yaml() else None
    made.run("destroy", "-auto-approve")
    assert made.processes() == []
