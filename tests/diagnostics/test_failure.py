"""Exit codes and places."""

import pytest

from unictl.diagnostics.diagnostic import Diagnostic, Severity, errors
from unictl.diagnostics.failure import PRECEDENCE, Failure, InvalidFleet, exit_code
from unictl.diagnostics.place import Place


def every(kind: type[Failure]) -> list[type[Failure]]:
    return [kind, *(below for each in kind.__subclasses__() for below in every(each))]


def test_every_failure_has_a_code_that_takes_part_in_precedence() -> None:
    assert {kind.code for kind in every(Failure)} <= set(PRECEDENCE)


@pytest.mark.parametrize(
    ("codes", "code"), [([], 0), ([0], 0), ([0, 2], 2), ([2, 5], 5), ([5, 8, 3], 3), ([1, 130], 130), ([99], 1)]
)
def test_of_several_codes_the_gravest_is_the_exit_code(codes: list[int], code: int) -> None:
    assert exit_code(codes) == code


def test_a_failure_carries_its_problems() -> None:
    problem = Diagnostic(code="x", summary="wrong")
    assert InvalidFleet("no", problems=(problem,)).problems == (problem,) and str(InvalidFleet("no")) == "no"


def test_warnings_do_not_stop() -> None:
    problems = [Diagnostic(code="x", summary="s", severity=severity) for severity in Severity]
    assert [problem.severity for problem in errors(problems)] == [Severity.ERROR]


def test_places_are_written_so_that_editors_find_them() -> None:
    assert str(Place(file="a.yaml", line=3, column=7)) == "a.yaml:3:7"
