"""Results of a fleet's tests: lines, a JSON document, and JUnit XML for pipelines. Pure."""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from unictl.diagnostics.diagnostic import Diagnostic, Problems
from unictl.plan.whatif.fleet_tests import Judged
from unictl.views.text import problems
from unictl.views.text.layout import EMPTY, clean, counted, one
from unictl.views.text.spans import Line, Span

Told = Sequence[tuple[Judged, Problems]]
"""Every test with what speaks against it, by its place in the fleet file."""


def text(told: Told, width: int = 80) -> tuple[Line, ...]:
    """A line a test, then every failure with its place and line; the last line counts."""
    rows = [_row(judged) for judged, _ in told]
    failed = [problem for _, found in told for problem in found]
    block = (EMPTY, *problems.text(failed, width=width)) if failed else ()
    return (*rows, *block, *((EMPTY,) if rows else ()), one(summary(told), "error" if failed else "bold"))


def summary(told: Told) -> str:
    """``3 tests: 2 hold, 1 fails.``"""
    if not told:
        return "No tests: the fleet file has no `tests:`."
    failed = sum(not judged.holds for judged, _ in told)
    hold = len(told) - failed
    parts = [f"{hold} hold{'s' if hold == 1 else ''}"] if hold else []
    parts += [f"{failed} fail{'s' if failed == 1 else ''}"] if failed else []
    return f"{counted(len(told), 'test')}: {', '.join(parts)}."


def _row(judged: Judged) -> Line:
    ways = f"  ({judged.tried} ways)" if judged.tried > 1 else ""
    mark = Span("holds ", "create") if judged.holds else Span("FAILS ", "error")
    return (Span("  "), mark, Span(f" {clean(judged.name)}"), Span(ways, "dim"))


def document(told: Told, format_version: str) -> dict[str, Any]:
    """The tests for machines."""
    return {
        "format_version": format_version,
        "type": "test",
        "holds": all(judged.holds for judged, _ in told),
        "tests": [
            {"name": judged.name, "holds": judged.holds, "ways": judged.tried, "failures": problems.json(found)}
            for judged, found in told
        ],
        "summary": summary(told),
    }


def junit(told: Told, fleet: str) -> str:
    """JUnit XML: one suite, a case a test; what fails says where it is written, and why."""
    failed = sum(not judged.holds for judged, _ in told)
    head = f'<testsuite name={_attribute(f"unictl test {fleet}")} tests="{len(told)}" failures="{failed}" errors="0"'
    cases = "".join(_case(judged, found, fleet) for judged, found in told)
    suite = f'{head} skipped="0">\n{cases}</testsuite>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suite}\n</testsuites>\n'


def _case(judged: Judged, found: Problems, fleet: str) -> str:
    place = next((each.place for each in found if each.place), None)
    where = f' file={_attribute(place.file)} line="{place.line}"' if place else ""
    head = f"<testcase classname={_attribute(fleet)} name={_attribute(judged.name)}{where}"
    if not found:
        return f"{head}/>\n"
    return f"{head}>\n{''.join(map(_failure, found))}</testcase>\n"


def _failure(problem: Diagnostic) -> str:
    lines = [str(problem.place) if problem.place else "", problem.summary, problem.detail, problem.hint]
    body = escape("\n".join(clean(line) for line in lines if line))
    return f"<failure type={_attribute(problem.code)} message={_attribute(problem.summary)}>{body}</failure>\n"


def _attribute(text: str) -> str:
    return quoteattr(clean(text))
