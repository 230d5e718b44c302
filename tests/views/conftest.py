"""Golden files: what a view renders is kept beside the tests and read by people when it changes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a golden file; ``--accept`` or UNICTL_ACCEPT=1 writes it."""
    accept = request.config.getoption("--accept", default=False) or os.environ.get("UNICTL_ACCEPT") == "1"

    def compare(name: str, text: str) -> None:
        file = _GOLDEN / name
        if accept:
            file.write_text(text)
        assert text == file.read_text()

    return compare
