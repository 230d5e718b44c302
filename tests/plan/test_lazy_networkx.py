"""networkx is imported only for a plan that has steps: loading it takes longer than planning a small fleet."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import planner

_MEASURE = """
import json, sys
from pathlib import Path
from tests.bench import planner
planner.measure(Path(sys.argv[1]), sys.argv[2])
print(json.dumps("networkx" in sys.modules))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet file, and what its hosts answer before and after it is applied."""
    path = tmp_path_factory.mktemp("bench")
    planner.prepare(path, 100, 2)
    return path


@pytest.mark.parametrize(
    ("scenario", "summary", "imported"), [("no-op", "No changes.", False), ("create", "Plan: 100 to add", True)]
)
def test_networkx_is_imported_only_if_the_plan_has_changes(
    folder: Path, scenario: str, summary: str, imported: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(folder), scenario], capture_output=True, text=True, check=True
    )
    cost, answer = map(json.loads, done.stdout.splitlines())
    assert cost[-1].startswith(summary) and answer is imported
