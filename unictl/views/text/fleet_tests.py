"""Results of a fleet's tests: lines, a JSON document, and JUnit XML for pipelines. Pure."""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from unictl.diagnostics.diagnostic import Diagnostic, Problems
from unictl.plan.whatif.fleet_tests import FleetTestResult
from unictl.views.text import problems
from unictl.views.text.layout import EMPTY, count_of, sanitize, styled_line
from unictl.views.text.spans import Line, Span

TestResults = Sequence[tuple[FleetTestResult, Problems]]
"""Every test with what speaks against it, by its place in the fleet file."""


def render(results: TestResults, width: int = 80) -> tuple[Line, ...]:
    """A line a test, then every failure with its place and line; the last line counts."""
    result_lines = [_result_line(result) for result, _ in results]
    failed = [problem for _, failures in results for problem in failures]
    block = (EMPTY, *problems.render(failed, width=width)) if failed else ()
    return (
        *result_lines,
        *block,
        *((EMPTY,) if result_lines else ()),
        styled_line(summary(results), "error" if failed else "bold"),
    )


def summary(results: TestResults) -> str:
    """``3 tests: 2 hold, 1 fails.``"""
    if not results:
        return "No tests: the fleet file has no `tests:`."
    failed = sum(not result.passed for result, _ in results)
    passed = len(results) - failed
    parts = [f"{passed} hold{'s' if passed == 1 else ''}"] if passed else []
    parts += [f"{failed} fail{'s' if failed == 1 else ''}"] if failed else []
    return f"{count_of(len(results), 'test')}: {', '.join(parts)}."


def _result_line(result: FleetTestResult) -> Line:
    ways = f"  ({result.scenario_count} ways)" if result.scenario_count > 1 else ""
    mark = Span("holds ", "create") if result.passed else Span("FAILS ", "error")
    return (Span("  "), mark, Span(f" {sanitize(result.name)}"), Span(ways, "dim"))


def to_document(results: TestResults, format_version: str) -> dict[str, Any]:
    """The tests for machines."""
    return {
        "format_version": format_version,
        "type": "test",
        "holds": all(result.passed for result, _ in results),
        "tests": [
            {
                "name": result.name,
                "holds": result.passed,
                "ways": result.scenario_count,
                "failures": problems.to_json(failures),
            }
            for result, failures in results
        ],
        "summary": summary(results),
    }


def to_junit(results: TestResults, fleet: str) -> str:
    """JUnit XML: one suite, a case a test; what fails says where it is written, and why."""
    failed = sum(not result.passed for result, _ in results)
    name = _quote_attribute(f"unictl test {fleet}")
    opening = f'<testsuite name={name} tests="{len(results)}" failures="{failed}" errors="0"'
    cases = "".join(_junit_case(result, failures, fleet) for result, failures in results)
    suite = f'{opening} skipped="0">\n{cases}</testsuite>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suite}\n</testsuites>\n'


def _junit_case(result: FleetTestResult, failures: Problems, fleet: str) -> str:
    place = next((failure.place for failure in failures if failure.place), None)
    location = f' file={_quote_attribute(place.file)} line="{place.line}"' if place else ""
    opening = f"<testcase classname={_quote_attribute(fleet)} name={_quote_attribute(result.name)}{location}"
    if not failures:
        return f"{opening}/>\n"
    return f"{opening}>\n{''.join(map(_junit_failure, failures))}</testcase>\n"


def _junit_failure(problem: Diagnostic) -> str:
    lines = [str(problem.place) if problem.place else "", problem.summary, problem.detail, problem.hint]
    body = escape("\n".join(sanitize(line) for line in lines if line))
    return (
        f"<failure type={_quote_attribute(problem.code)} message={_quote_attribute(problem.summary)}>{body}</failure>\n"
    )


def _quote_attribute(text: str) -> str:
    return quoteattr(sanitize(text))
