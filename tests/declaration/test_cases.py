"""Fleet files with mistakes, one folder each: what a person is told about them, as golden files."""

import json
import shlex
from pathlib import Path

import pytest

from unictl.declaration.load import LoadResult, load_fleet
from unictl.views.text import layout, problems

CASES = Path(__file__).parent / "cases"
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "fleet.schema.json").read_text())
OURS = ("problems.txt", "arguments")


def loaded(case: Path) -> LoadResult:
    """What comes of a case; ``arguments`` beside its files holds -env and -var as on a command line."""
    files = {str(path.relative_to(case)): path.read_text() for path in case.rglob("*") if path.is_file()}
    words = shlex.split(files.get("arguments", ""))
    told = list(zip(words[::2], words[1::2], strict=True))
    return load_fleet(
        {path: text for path, text in files.items() if path not in OURS},
        schema=SCHEMA,
        environment=next((value for word, value in told if word == "-env"), ""),
        variables=dict(value.split("=", 1) for word, value in told if word == "-var"),
    )


def shown(result: LoadResult) -> str:
    return layout.join_lines(problems.render(result.problems)) if result.problems else "no problems\n"


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_a_mistake_is_told_as_the_golden_file_says(case: Path, request: pytest.FixtureRequest) -> None:
    result = loaded(case)
    golden = case / "problems.txt"
    if request.config.getoption("--accept"):
        golden.write_text(shown(result))
    assert shown(result) == golden.read_text()
    assert (result.fleet is None) == bool(result.problems)


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_every_problem_with_a_place_shows_its_line(case: Path) -> None:
    for problem in loaded(case).problems:
        if problem.place and problem.source:
            assert problem.place.column <= len(problem.source) + 1


def test_there_are_many_cases() -> None:
    assert len(list(CASES.iterdir())) >= 70


@pytest.mark.parametrize(
    ("case", "count"),
    [("ten-mistakes-in-one-file", 10), ("ten-mistakes-across-references", 10), ("ten-mistakes-in-three-files", 10)],
)
def test_all_problems_are_told_at_once(case: str, count: int) -> None:
    assert len(loaded(CASES / case).problems) == count
