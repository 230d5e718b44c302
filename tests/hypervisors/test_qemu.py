"""QEMU's argv and configuration file: golden files, and what they must never hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guests.boot_samples import boot
from tests.guests.golden_cases import cases, check
from unictl.guests.families import FAMILIES
from unictl.guests.image_facts import ImageFacts
from unictl.guests.plain import PLAIN
from unictl.hypervisors.drivers import DEFAULT_HYPERVISOR, DRIVERS
from unictl.hypervisors.launch import Forward, Launch
from unictl.hypervisors.qemu import LINE_LIMIT, build_launch, find_refusals, process_uuid

FOLDER = Path(__file__).with_name("cases")
KERNEL = {"kernel": ImageFacts(sha256="a" * 64, size=1)}


def launched(case: dict[str, Any]) -> Launch:
    facts = {role: ImageFacts.from_json(plain) for role, plain in case["facts"].items()}
    forwards = tuple(Forward(**plain) for plain in case.get("forwards", ()))
    driver = DRIVERS[DEFAULT_HYPERVISOR]
    return driver.launch(FAMILIES[case["family"]], facts, boot(case["boot"]), forwards)


@pytest.mark.parametrize("path", cases(FOLDER))
def test_a_launch_is_as_its_golden_file(path: Path, request: pytest.FixtureRequest) -> None:
    made = launched(json.loads(path.read_text()))
    came = {key: value for key, value in made.document().items() if key != "exits"}
    came["config"] = made.config.splitlines()
    check(path, came, accept=request.config.getoption("--accept", default=False))


@given(st.text("ab ={}:/,", max_size=40), st.text("ab ={}:/,", max_size=40))
def test_nothing_of_a_guests_words_stands_in_argv(word: str, value: str) -> None:
    handed = boot({"name": "api-0", "args": [f"ARG<{word}>"], "environment": {"KEY": f"<{value}>"}})
    made = build_launch(PLAIN, KERNEL, handed)
    assert not any("<" in part for part in made.argv)
    assert f"ARG<{word}>" in made.config


def test_secrets_are_named_and_stay_tokens() -> None:
    handed = boot(
        {"name": "api-0", "args": ["--a={secret:one}", "--b={secret:one}"], "environment": {"K": "{secret:two}"}}
    )
    made = build_launch(PLAIN, KERNEL, handed)
    assert made.secrets == ("one", "two")
    assert "{secret:one}" in made.config
    assert '"' in made.forbidden_characters and "'" in made.forbidden_characters


@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False)])
def test_the_longest_command_line_fills_a_line_of_qemus_file(extra: int, fits: bool) -> None:
    empty = len(PLAIN.command_line(boot({"name": "api-0", "args": ["x"]}))) - 1
    handed = boot({"name": "api-0", "args": ["x" * (LINE_LIMIT.size - empty + extra)]})
    assert [finding.code for finding in find_refusals(PLAIN, KERNEL, handed)] == (
        [] if fits else ["command-line-too-long"]
    )
    if fits:
        assert max(len(line) for line in build_launch(PLAIN, KERNEL, handed).config.splitlines()) == 1023
    else:
        with pytest.raises(ValueError, match="1013 bytes"):
            build_launch(PLAIN, KERNEL, handed)


def test_a_resolved_reference_with_a_double_quote_is_refused() -> None:
    assert [f.code for f in find_refusals(PLAIN, KERNEL, boot({"name": "a-0", "args": ['"']}))] == ["unsafe-character"]


def test_the_identity_is_of_owner_name_and_generation() -> None:
    assert process_uuid("shop-5f0c2a", "api-0.7f3c9a1b") == "cdcafedd-70a2-54d3-9b6d-a3185580216a"
    assert process_uuid("shop-5f0c2a", "api-0.7f3c9a1b") != process_uuid("shop-000000", "api-0.7f3c9a1b")
