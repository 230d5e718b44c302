"""How ends are judged: one file of cases that both readings of the table pass, ours and the host side's."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unictl.guests.exit_rules import ExitRule, Verdict, classify_exit
from unictl.guests.families import FAMILIES
from unictl.hypervisors.launch import Launch
from unictl.onhost.instances import exit_verdicts

PATH = Path(__file__).with_name("exit_rules_cases.json")
CASES: list[dict[str, Any]] = json.loads(PATH.read_text())
NAMES = [f"{case.get('family', 'any')}: {case['name']}" for case in CASES]


def rule(row: dict[str, Any]) -> ExitRule:
    return ExitRule(**{**row, "verdict": Verdict(row["verdict"])})


def rows(family: str) -> list[dict[str, Any]]:
    """A family's table as it travels."""
    launch = Launch(hypervisor="qemu", argv=(), config="", exits=FAMILIES[family].exits, images=())
    exits: list[dict[str, Any]] = launch.document()["exits"]
    return exits


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_an_end_is_judged_by_the_table(case: dict[str, Any]) -> None:
    ended = classify_exit([rule(row) for row in case["exits"]], case["facts"])
    assert (ended.verdict.value, ended.code) == (case["verdict"], case["code"])
    assert ended.summary


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_host_side_judges_alike(case: dict[str, Any]) -> None:
    facts = case["facts"]
    said = exit_verdicts.classify_exit(case["exits"], facts, facts.get("console", ""), facts.get("stopped", False))
    assert said == (case["verdict"], case["code"])


def test_the_cases_hold_the_families_tables_of_today(request: pytest.FixtureRequest) -> None:
    fresh = [{**case, "exits": rows(case["family"])} if "family" in case else case for case in CASES]
    if request.config.getoption("--accept", default=False):
        PATH.write_text(json.dumps(fresh, indent=1) + "\n")
    else:
        assert fresh == CASES, "run with --accept if this is meant"


def test_every_verdict_and_every_family_has_a_case() -> None:
    assert {case["verdict"] for case in CASES} == {verdict.value for verdict in Verdict}
    assert {case["family"] for case in CASES if "family" in case} == set(FAMILIES)


FACTS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.none() | st.integers(0, 255),
        "signal": st.none() | st.integers(1, 64),
        "reason": st.none() | st.sampled_from(["guest-reset", "guest-shutdown", "guest-panic", "host-signal", "x"]),
        "console": st.text() | st.sampled_from(["Kernel panic - not syncing: x", "\nqemu-system-x86_64: no\n"]),
        "stopped": st.booleans(),
    },
)


@given(st.sampled_from(sorted(FAMILIES)), FACTS)
def test_both_readings_agree_on_any_facts(family: str, facts: dict[str, Any]) -> None:
    ended = classify_exit(FAMILIES[family].exits, facts)
    said = exit_verdicts.classify_exit(rows(family), facts, facts.get("console", ""), facts.get("stopped", False))
    assert said == (ended.verdict.value, ended.code)
