"""The lab as fixtures. Hosts boot once a session; a test that asks for ``lab`` gets them as just installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleets import LabFleet
from tests.lab.lab import Lab, LabHost


@pytest.fixture(scope="session")
def standing_lab() -> Iterator[Lab]:
    """Three hosts for the whole session, in whatever state the last test left them."""
    made = Lab.up(3)
    try:
        yield made
    finally:
        made.down()


@pytest.fixture
def lab(standing_lab: Lab) -> Lab:
    """Three hosts as just installed."""
    standing_lab.each(LabHost.mend)
    standing_lab.each(LabHost.fresh)
    return standing_lab


@pytest.fixture
def fleet(lab: Lab, tmp_path: Path) -> LabFleet:
    """The lab playbook's fleet, on hosts as just installed."""
    return LabFleet(lab, tmp_path / "fleet")
