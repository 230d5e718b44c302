"""The lab as fixtures. Hosts boot once a session; a test that asks for ``lab`` gets them as just installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleets import LabFleet
from tests.lab.lab import Lab, LabHost


@pytest.fixture(scope="session")
def standing_lab() -> Iterator[Lab]:
    """Three hosts for the whole session, in whatever state the last test left them; of two releases of Debian."""
    made = Lab.up(3, suites=("bookworm", "trixie"))
    try:
        yield made
    finally:
        made.down()


def renewed(lab: Lab) -> Lab:
    """The same hosts as just installed."""
    lab.each(LabHost.mend)
    lab.each(LabHost.fresh)
    return lab


@pytest.fixture
def lab(standing_lab: Lab) -> Lab:
    """Three hosts as just installed."""
    return renewed(standing_lab)


@pytest.fixture(scope="module")
def ready(standing_lab: Lab) -> Lab:
    """The same for a whole module, whose tests put back what they change."""
    return renewed(standing_lab)


@pytest.fixture
def fleet(lab: Lab, tmp_path: Path) -> LabFleet:
    """The lab playbook's fleet, on hosts as just installed."""
    return LabFleet(lab, tmp_path / "fleet")
