"""Command lines and devices, as golden files: one folder per family, one file per case."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.guests.boot_samples import boot
from tests.guests.golden_cases import cases, check
from unictl.guests.families import FAMILIES

FOLDER = Path(__file__).with_name("cases")


@pytest.mark.parametrize("path", cases(FOLDER))
def test_a_boot_becomes_words_and_devices(path: Path, request: pytest.FixtureRequest) -> None:
    family = FAMILIES[path.parent.name]
    handed = boot({"machine": family.machines[0], **json.loads(path.read_text())["boot"]})
    given = {name: value for name, value in asdict(family.devices(handed)).items() if value}
    came = {"command_line": family.command_line(handed), "devices": json.loads(json.dumps(given))}
    check(path, came, accept=request.config.getoption("--accept", default=False))


def test_every_family_has_cases() -> None:
    assert {folder.name for folder in FOLDER.iterdir()} == set(FAMILIES)
