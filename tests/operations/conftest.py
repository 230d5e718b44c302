"""Every test here gets a fleet of its own and takes it down at the end, whatever happened."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.fleets import TryFleet


@pytest.fixture
def fleet() -> Iterator[TryFleet]:
    # A short path that an unprivileged hypervisor may walk: sockets in the store have paths of 97 bytes at most.
    with tempfile.TemporaryDirectory(prefix="unictl-", dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        made = TryFleet(Path(place))
        yield made
        destroyed = made.run("destroy", "-auto-approve")
        assert made.processes() == [], destroyed.out + destroyed.err + made.running()
