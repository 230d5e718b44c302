"""The quick yes: never where JSON Schema would say no, and always for what a good fleet holds."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from unictl.declaration.quick_check import is_certainly_valid
from unictl.declaration.schema import _inline_references, _make_validator

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "fleet.schema.json").read_text())
ROOT = _inline_references(SCHEMA, SCHEMA["$defs"])
JUDGE = _make_validator(ROOT)
WHOLE = yaml.safe_load((Path(__file__).parent / "whole.yaml").read_text())
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.floats(allow_nan=True),
    st.sampled_from(["", "x", "1", "64MiB", "5m", "20%", "tcp", "user", "a b", "${x}"]),
    st.lists(st.sampled_from([1, True, "a", "a", None]), max_size=3),
    st.dictionaries(st.sampled_from(["a", "port", "Bad Name"]), st.sampled_from([1, "x", None]), max_size=2),
)


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a tree."""
    yield above
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in members:
        yield from paths(below, (*above, key))


PATHS = [path for path in paths(WHOLE) if path]


def test_what_is_right_is_found_right_without_jsonschema() -> None:
    assert not list(JUDGE.iter_errors(WHOLE))
    assert is_certainly_valid(ROOT, WHOLE)


@given(
    st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(["value", "key", "gone"]), ODD), min_size=1, max_size=2)
)
def test_nothing_that_jsonschema_refuses_is_found_right(mutations: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    tree = copy.deepcopy(WHOLE)
    for path, how, odd in mutations:
        inner = tree
        try:
            for key in path[:-1]:
                inner = inner[key]
            if how == "value":
                inner[path[-1]] = odd
            elif how == "gone":
                del inner[path[-1]]
            elif isinstance(inner, dict):
                inner["unheard-of"] = odd
            else:
                inner.append(odd)
        except (KeyError, IndexError, TypeError):
            continue
    if is_certainly_valid(ROOT, tree):
        assert not list(JUDGE.iter_errors(tree))


def test_a_word_of_the_schema_that_is_not_known_is_never_a_yes() -> None:
    assert not is_certainly_valid({"type": "string", "maxLength": 3}, "abcd")
