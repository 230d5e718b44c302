"""Text -> tree and places, with both readers."""

from pathlib import Path
from typing import Any

import pytest

from unictl.declaration.scalars import resolve_scalar
from unictl.declaration.source_tree import INVALID, Places, find_spot
from unictl.declaration.yaml_reader import MAX_BYTES, READERS, read_yaml

both = pytest.mark.parametrize("reader", READERS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("12:30", "12:30"),
        ("0.17", 0.17),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("2026-01-01", "2026-01-01"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("=", "="),
        ("<<", "<<"),
        ("9" * 5000, float("inf")),
    ],
)
def test_plain_scalars_are_what_yaml_1_2_says(text: str, value: object) -> None:
    found = resolve_scalar(text)
    assert found == value and type(found) is type(value)


def test_not_a_number_is_a_number() -> None:
    assert resolve_scalar(".nan") != resolve_scalar(".nan")


@both
def test_quoted_scalars_are_texts(reader: Any) -> None:
    tree = read_yaml("a: '012'\nb: \"true\"\nc: |\n  5\nd: 012\n", "f", reader).tree
    assert tree == {"a": "012", "b": "true", "c": "5\n", "d": 12}


@both
def test_keys_are_texts_whatever_they_look_like(reader: Any) -> None:
    assert read_yaml("80: a\non: b\n~: c\ntrue: d\n", "f", reader).tree == {"80": "a", "on": "b", "~": "c", "true": "d"}


@both
def test_places_are_those_of_keys_and_values(reader: Any) -> None:
    tree = read_yaml("a:\n  b: 012\n  c: [x, 'y z']\n", "f", reader).tree
    assert find_spot(tree, ("a", "b")) == ("f", 2, 6, 9, "012")
    assert find_spot(tree, ("a", "b"), key=True) == ("f", 2, 3, 4, "b")
    assert find_spot(tree, ("a", "c", 1)) == ("f", 3, 10, 15, None)
    assert find_spot(tree, ("a", "c")) == ("f", 3, 6, 16, None)
    assert find_spot(tree, ("a", "c", 7, "gone")) == ("f", 3, 3, 4, "c")


@both
def test_columns_count_characters_not_bytes(reader: Any) -> None:
    tree = read_yaml("ä: {ö: ü, z: 1}\n", "f", reader).tree
    found = find_spot(tree, ("ä", "z"))
    assert found and (found.line, found.column) == (1, 14)


@both
def test_an_alias_stands_where_it_is_used(reader: Any) -> None:
    tree = read_yaml("a: &x {b: 1}\nc: *x\n", "f", reader).tree
    assert tree["c"] == {"b": 1}
    found = find_spot(tree, ("c",))
    assert found and (found.line, found.column) == (2, 4)


@both
def test_what_was_read_before_a_mistake_is_there(reader: Any) -> None:
    document = read_yaml("a: {b: 1}\nc: 2\nd: [1\ne: 3\n", "f", reader)
    assert not document.complete and document.tree["a"] == {"b": 1} and document.tree["c"] == 2
    assert document.tree["d"] == [1] or document.tree["d"] == [INVALID] or INVALID in document.tree["d"]


@both
def test_a_merge_key_in_quotes_is_a_key(reader: Any) -> None:
    document = read_yaml("'<<': 1\n", "f", reader)
    assert document.tree == {"<<": 1} and not document.problems


@both
def test_depth_counts_what_aliases_bring(reader: Any) -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{x: *a{n - 1}}}" for n in range(1, 80)]
    document = read_yaml("\n".join(lines), "f", reader)
    assert [problem.code for problem in document.problems] == ["too-deep"]


def test_a_file_of_more_than_4_mib_is_refused() -> None:
    document = read_yaml("# " + "x" * MAX_BYTES, "f")
    assert [problem.code for problem in document.problems] == ["too-large"]


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read_yaml("\ufefffleet: x\n", "f").tree == {"fleet": "x"}


def test_lone_surrogates_are_a_problem() -> None:
    assert read_yaml("a: \ud800\n", "f").problems[0].code == "syntax"


@both
def test_a_tab_before_a_key_is_called_a_tab(reader: Any) -> None:
    (problem,) = read_yaml("services:\n  api:\n    image: web\n\tmemory: 16MiB\n", "f", reader).problems
    assert (str(problem.place), problem.summary) == ("f:4:1", "a tab stands in the indentation")
    assert problem.related == ()


@pytest.mark.parametrize("file", sorted(Path(__file__).parent.rglob("*.yaml")), ids=lambda file: file.parent.name)
def test_both_readers_read_the_same(file: Path) -> None:
    one, *others = (read_yaml(file.read_text(), "f", reader) for reader in READERS)
    for other in others:
        assert repr(other.tree) == repr(one.tree) and other.complete == one.complete
        assert [problem.summary for problem in other.problems] == [problem.summary for problem in one.problems]


def test_places_of_a_tree_can_be_listed() -> None:
    places = Places(read_yaml("a: [1, {b: 2}]\n", "f").tree)
    assert list(places) == [("a",), ("a", 0), ("a", 1), ("a", 1, "b")] and len(places) == 4
    assert places["a", 1, "b"].column == 12 and ("a", 2) not in places
