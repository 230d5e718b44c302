"""Names, and what was probably meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unictl.fleet.names import (
    NAME_PATTERN,
    InstanceKey,
    InstanceName,
    closest_match,
    declared_volume_name,
    describe_existing,
    join_names,
    name_problem,
)

names = st.from_regex(NAME_PATTERN, fullmatch=True)


@given(names)
def test_what_the_pattern_takes_is_a_name(name: str) -> None:
    assert name_problem(name) == ""


@pytest.mark.parametrize("text", ["", "A", "1a", "a-", "a_b", "a" * 41, "a\n", "ä", "a b"])
def test_what_is_no_name_is_told_with_the_rule(text: str) -> None:
    assert repr(text) in name_problem(text) and "lower-case" in name_problem(text)


def test_a_service_does_not_end_as_an_instance_does() -> None:
    assert "ends in a number" in name_problem("api-2", service=True)
    assert name_problem("api2", service=True) == name_problem("api-2") == ""


@given(names, st.integers(0, 10_000))
def test_instance_names_split_into_what_they_were_made_of(service: str, ordinal: int) -> None:
    name = InstanceName.parse(InstanceName.of(service, ordinal))
    assert (name, name.service, name.ordinal) == (f"{service}-{ordinal}", service, ordinal)


def test_a_service_is_no_instance() -> None:
    with pytest.raises(ValueError, match="such as api-2"):
        InstanceName.parse("api")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("frnt", "front"), ("bd", "db"), ("Front", "front"), ("dv", ""), ("zzz", ""), ("contuer", "counter")],
)
def test_the_nearest_name_is_meant(word: str, meant: str) -> None:
    assert closest_match(word, ["front", "db", "counter"]) == meant


@given(st.text(max_size=8), st.lists(names, max_size=6), st.randoms(use_true_random=False))
def test_what_is_meant_does_not_depend_on_the_order(word: str, known: list[str], random: object) -> None:
    other = list(known)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert closest_match(word, known) == closest_match(word, other)


def test_lists_read_well() -> None:
    assert [join_names(""), join_names("a"), join_names("ba"), join_names("cab")] == ["", "a", "a and b", "a, b and c"]
    assert join_names((f"n{n}" for n in range(10)), limit=2) == "n0, n1 and 8 more"
    assert [describe_existing([]), describe_existing(["a"]), describe_existing(["a", "b"])] == [
        "",
        "There is a.",
        "There are a and b.",
    ]


def test_the_key_of_a_generation_is_its_name_and_its_generation() -> None:
    key = InstanceKey.of("api-2", "7f3c9a1b")
    assert (key, key.name, key.generation) == ("api-2.7f3c9a1b", "api-2", "7f3c9a1b")
    assert key.name.service == "api" and key.name.ordinal == 2


def test_a_volume_of_a_replica_leads_to_the_volume_that_is_declared() -> None:
    assert declared_volume_name("orders-2", {"orders"}) == "orders"
    assert declared_volume_name("orders-2", {"orders-2"}) == "orders-2"
