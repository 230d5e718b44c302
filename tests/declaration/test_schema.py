"""The schema is the language, key by key, and a manual that is true."""

import dataclasses
import json
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from unictl.declaration import formats
from unictl.declaration.load import load_fleet
from unictl.declaration.suggestions import _ALIASES
from unictl.fleet import model

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "fleet.schema.json").read_text())
WHOLE = Path(__file__).parent / "whole.yaml"


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    name = node.get("$ref", "").removeprefix("#/$defs/")
    return {**SCHEMA["$defs"][name], **node} if name else node


def keys(node: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every key of the language by its path; entries' names are left out, and so is what stands twice."""
    node = resolved(node)
    for inner in (node.get("additionalProperties"), node.get("items") if "properties" not in node else None):
        if isinstance(inner, dict) and "properties" in resolved(inner):
            yield from keys(inner, above)
    for key, below in node.get("properties", {}).items():
        path = f"{above}.{key}".lstrip(".")
        yield path, resolved(below)
        if path not in ("environments", "templates", "defaults"):
            yield from keys(below, path)


KEYS = dict(keys(SCHEMA))


def test_the_schema_has_the_keys_of_the_language_with_their_columns_and_no_others() -> None:
    lines = (Path(__file__).parent / "language_keys.txt").read_text().splitlines()
    told = dict([*line.split(), ""][:2] for line in lines if line and not line.startswith("#"))
    assert {key: node["x-column"] for key, node in KEYS.items()} == told


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_no_choice_between_maps_is_left_to_guessing() -> None:
    assert not re.search(r'"(oneOf|anyOf|allOf|if)"', json.dumps(SCHEMA))


@pytest.mark.parametrize("key", KEYS)
def test_every_key_says_what_it_means_and_shows_an_example_that_holds(key: str) -> None:
    node = KEYS[key]
    assert node["description"].endswith(".") and node["examples"]
    validator = Draft202012Validator({**node, "$defs": SCHEMA["$defs"]})
    for example in node["examples"]:
        validator.validate(example)
    if node.get("default") not in (None, ""):
        validator.validate(node["default"])


def test_every_kind_of_the_schema_is_checked() -> None:
    used = set(re.findall(r'"x-kind": "([a-z0-9-]+)"', json.dumps(SCHEMA)))
    assert used == set(formats.FORMAT_CHECKS)


def test_patterns_for_editors_agree_with_the_exact_checks() -> None:
    for node in (*SCHEMA["$defs"].values(), *KEYS.values()):
        if "pattern" in node and "x-kind" in node:
            for text in ("64MiB", "2 GiB", "1.5s", "20%", "x", "", "api", "-", "5f0c2a", "9f2c5d1e" * 8):
                if not formats.invalid_reason(node["x-kind"], text):
                    assert re.search(node["pattern"], text), (node["x-kind"], text)


def test_guesses_lead_to_keys_that_exist() -> None:
    sections = {"": SCHEMA, "check": SCHEMA["$defs"]["probe"]}
    for what, table in _ALIASES.items():
        node = sections.get(what) or SCHEMA["$defs"][what]
        assert set(table) <= set(node["properties"])


def test_defaults_of_the_schema_are_those_of_the_model() -> None:
    bare = {
        "fleet": "f",
        "hosts": {"x": {"connect": "local"}},
        "images": {"i": {"guest": "plain", "kernel": "k"}},
        "volumes": {"x": {"size": "1MiB"}},
        "services": {"x": {"image": "i"}},
    }
    written = json.loads(json.dumps(bare))
    for section in ("hosts", "volumes", "services"):
        for key, node in resolved(SCHEMA["$defs"][section]["additionalProperties"])["properties"].items():
            default = resolved(node).get("default", "")
            if default not in ("", []) and key != "reserve":
                written[section]["x"][key] = default
    for nested in ("update", "placement"):
        for key, node in SCHEMA["$defs"]["service"]["properties"][nested]["properties"].items():
            if resolved(node).get("default", "") not in ("", []):
                written["services"]["x"].setdefault(nested, {})[key] = resolved(node)["default"]
    loaded = load_fleet({"fleet.yaml": json.dumps(written)}, schema=SCHEMA)
    plain = load_fleet({"fleet.yaml": json.dumps(bare)}, schema=SCHEMA)
    assert loaded.problems == () and loaded.fleet == plain.fleet


def fields() -> Iterator[tuple[str, str]]:
    """Every field of every value of the model."""
    for name, value in vars(model).items():
        if dataclasses.is_dataclass(value) and value.__module__ == model.__name__:
            yield from ((name, field.name) for field in dataclasses.fields(value))


def reached(value: Any) -> Iterator[tuple[str, str]]:
    """The fields within ``value`` that are not at their default."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for item in value:
            yield from reached(item)
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            given = getattr(value, field.name)
            default = field.default if field.default is not dataclasses.MISSING else None
            made = field.default_factory() if field.default_factory is not dataclasses.MISSING else default
            if given != made:
                yield type(value).__name__, field.name
            yield from reached(given)


def test_every_field_of_the_model_can_be_written() -> None:
    loaded = load_fleet({"fleet.yaml": WHOLE.read_text()}, schema=SCHEMA, environment="staging")
    assert loaded.problems == ()
    assert set(fields()) <= set(reached(loaded.fleet))


def test_the_model_has_no_types_that_are_not_plain() -> None:
    assert all(typing.get_type_hints(value) for value in vars(model).values() if dataclasses.is_dataclass(value))
