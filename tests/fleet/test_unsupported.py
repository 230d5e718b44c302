"""What is declared and cannot be done yet is told, key by key."""

import json
from pathlib import Path

from unictl.declaration.load import load_fleet
from unictl.instances.launch.preflight import check_features

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas" / "fleet.schema.json").read_text())


def told(text: str) -> set[str]:
    found = load_fleet({"fleet.yaml": text}, schema=SCHEMA, environment="staging" if "staging" in text else "")
    assert found.fleet is not None, found.problems
    return {".".join(map(str, finding.path)) for finding in check_features(found.fleet)}


def test_the_first_playbook_is_supported_in_full() -> None:
    assert told((ROOT / "playbooks" / "hello" / "fleet.yaml").read_text()) == set()


def test_everything_that_has_no_machinery_is_told_with_its_path() -> None:
    assert told((ROOT / "tests" / "declaration" / "whole.yaml").read_text()) == {
        "networks.back.mode",
        "images.files.build",
        "images.afar.guest",
        "images.packed.oci",
        "volumes.data.snapshot",
        "secrets.one.visible_on_host",
        "secrets.three.command",
        "services.api.files",
        "services.api.publish.0.host",
        "services.api.publish.0.sni",
        "services.api.publish.0.tls",
        "services.dns.ports",
        "services.dns.activation",
        "policy.signed",
        "notify",
    }
