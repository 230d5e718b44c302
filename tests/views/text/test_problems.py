"""Problems as lines and as JSON."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unictl.diagnostics.diagnostic import Diagnostic, Severity
from unictl.diagnostics.place import Place
from unictl.views.text import layout, problems


def problem(source: str = "  api: {image: apy}", column: int = 16, end: int | None = 19, **given: Any) -> Diagnostic:
    place = Place(file="fleet.yaml", line=7, column=column, end_column=end)
    made = {"code": "unknown-image", "summary": "there is no image 'apy'", "place": place, "source": source, **given}
    return Diagnostic(**made)


def shown(*found: Diagnostic, width: int = 80) -> str:
    return layout.join_lines(problems.render(found, width=width))


def test_a_problem_shows_its_place_its_line_and_what_to_do() -> None:
    other = Place(file="more.yaml", line=2, column=3)
    text = shown(problem(hint="Did you mean api?", detail="Images are declared once.", related=(other,)))
    assert text == (
        "fleet.yaml:7:16\n"
        "error: there is no image 'apy'\n"
        "  7 |   api: {image: apy}\n"
        "    |                ^^^\n"
        "  Images are declared once.\n"
        "  see also more.yaml:2:3\n"
        "  -> Did you mean api?\n"
    )


def test_the_caret_and_the_first_line_have_the_style_of_the_severity() -> None:
    lines = problems.render((problem(severity=Severity.WARNING),))
    styled = {span.text: span.style for line in lines for span in line}
    assert styled["^^^"] == "warning" and styled["warning: there is no image 'apy'"] == "warning"


def test_several_problems_are_counted() -> None:
    warning = problem(severity=Severity.WARNING, column=3)
    assert shown(problem(), problem(column=5), warning).splitlines()[-1] == "2 problems and 1 warning in fleet.yaml"


def test_a_problem_without_a_place_is_its_sentence() -> None:
    assert shown(Diagnostic(code="x", summary="the fleet has no name")) == "error: the fleet has no name\n"


def test_tabs_and_wide_letters_do_not_move_the_caret() -> None:
    lines = shown(problem(source="\tname: 漢字 apy", column=11, end=14)).splitlines()
    assert lines[2:4] == ["  7 |  name: 漢字 apy", "    |             ^^^"]


def test_what_could_steer_a_terminal_is_written_out() -> None:
    text = shown(problem(source="  api: \x1b]0;x\x07 apy", column=15, end=18))
    assert "\x1b" not in text and "\x07" not in text


def test_long_lines_are_cut_around_what_is_meant() -> None:
    text = shown(problem(source="x" * 200 + " apy " + "y" * 200, column=202, end=205), width=60)
    lines = text.splitlines()
    assert len(lines[2]) <= 60 and lines[2].startswith("  7 | ...") and lines[2].endswith("...")
    assert lines[2][lines[3].index("^") :].startswith("apy")


@given(st.text(max_size=120), st.integers(1, 140), st.none() | st.integers(1, 140), st.integers(20, 100))
def test_no_source_line_and_no_span_fail(source: str, column: int, end: int | None, width: int) -> None:
    assert shown(problem(source=source, column=column, end=end), width=width).startswith("fleet.yaml:7:")


@given(st.text(alphabet="abc de", min_size=30, max_size=150), st.integers(1, 30), st.integers(0, 9))
def test_the_caret_stands_under_what_is_meant(source: str, column: int, size: int) -> None:
    lines = shown(problem(source=source, column=column, end=column + 1 + size), width=60).splitlines()
    if len(lines) >= 4 and lines[3].strip().startswith("|"):
        start = lines[3].index("^")
        meant = source[column - 1 : column + size]
        assert lines[2][start:].startswith(meant.rstrip()) and len(lines[2]) <= 60


@pytest.mark.parametrize("end", [19, None])
def test_json_has_the_range_and_the_line(end: int | None) -> None:
    (document,) = problems.to_json((problem(end=end, hint="Did you mean api?"),))
    assert document == {
        "severity": "error",
        "code": "unknown-image",
        "summary": "there is no image 'apy'",
        "detail": "",
        "hint": "Did you mean api?",
        "range": {
            "file": "fleet.yaml",
            "start": {"line": 7, "column": 16},
            "end": {"line": 7, "column": end or 17},
        },
        "snippet": "  api: {image: apy}",
    }


def test_who_counts_them_himself_is_not_told_a_second_time() -> None:
    both = (problem(), problem(severity=Severity.WARNING))
    assert layout.join_lines(problems.render(both, counting=False)).count("problem") < layout.join_lines(
        problems.render(both)
    ).count("problem")
