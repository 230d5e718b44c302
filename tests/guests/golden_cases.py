"""Case files: a JSON object with what goes in; what came out is kept beside it under ``expected``."""

import json
from pathlib import Path
from typing import Any

import pytest


def cases(folder: Path) -> list[Any]:
    """Every case below ``folder``, by its path."""
    found = sorted(folder.rglob("*.json"))
    return [pytest.param(path, id=str(path.relative_to(folder).with_suffix(""))) for path in found]


def check(path: Path, came: dict[str, Any], *, accept: bool) -> None:
    """The case's expectation is ``came``; with ``accept`` it becomes that."""
    case = json.loads(path.read_text())
    if accept:
        path.write_text(json.dumps({**case, "expected": came}, indent=2) + "\n")
    else:
        assert came == case.get("expected"), "run with --accept if this is meant"
