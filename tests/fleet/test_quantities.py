"""Amounts with units."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unictl.fleet.quantities import Share, format_duration, format_memory, parse_duration, parse_memory, parse_share


@given(st.integers(0, 1 << 49))
def test_memory_is_written_as_it_is_read(size: int) -> None:
    assert parse_memory(format_memory(size)) == size


@given(st.integers(0, 10**11))
def test_durations_are_written_as_they_are_read(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@given(st.builds(Share, number=st.integers(0, 100), percent=st.booleans()))
def test_shares_are_written_as_they_are_read(given: Share) -> None:
    assert parse_share(str(given)) == given


@pytest.mark.parametrize(
    ("text", "value"), [("64MiB", 64 << 20), ("2 GiB", 2 << 30), ("1TiB", 1 << 40), ("0B", 0), ("5KiB", 5120)]
)
def test_memory_has_binary_units(text: str, value: int) -> None:
    assert parse_memory(text) == value


@pytest.mark.parametrize("text", ["1.5GiB", "-1MiB", "MiB", "", "٣MiB", "9" * 99 + "MiB", "1MiB\n"])
def test_what_is_no_memory_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="such as 64MiB or 2GiB"):
        parse_memory(text)


@pytest.mark.parametrize(("text", "meant"), [("64", "64MiB"), ("2GB", "2GiB"), ("64M", "64MiB"), ("64mib", "64MiB")])
def test_an_amount_in_other_units_is_refused_with_how_it_is_written(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"a whole number and a unit, such as {meant}$"):
        parse_memory(text)


@pytest.mark.parametrize(("text", "value"), [("500ms", 500), ("1.5s", 1500), ("5m", 300_000), ("7d", 604_800_000)])
def test_durations_have_units(text: str, value: int) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["5", "5 minutes", "-1s", "1e3s", "", "9" * 400 + "d", "٣s"])
def test_what_is_no_duration_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="such as 500ms, 2s or 5m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["101%", "-1", "1.5", "%", "", "x", "9" * 99])
def test_what_is_no_share_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="neither a whole number nor a percentage"):
        parse_share(text)


@pytest.mark.parametrize(("up", "counts"), [(True, [0, 1, 1, 2]), (False, [0, 0, 0, 1])])
def test_a_percentage_is_rounded_as_asked(up: bool, counts: list[int]) -> None:
    assert [parse_share("34%").of(total, round_up=up) for total in (0, 1, 2, 4)] == counts
    assert parse_share(3).of(1, round_up=up) == 3


@given(st.sampled_from([parse_memory, parse_duration, parse_share]), st.text(max_size=12))
def test_no_text_fails_in_another_way(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert repr(text) in str(error)
