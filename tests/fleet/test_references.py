"""Texts with references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unictl.fleet.references import (
    Reference,
    canonical_text,
    find_reference_spans,
    find_references,
    parse_text,
    substitute_references,
)

some_reference = st.sampled_from(
    [
        Reference("var", "x"),
        Reference("secret", "db-password"),
        Reference("service", "db.sql"),
        Reference("instance", "ordinal"),
        Reference("host", "name"),
        Reference("fleet", "name"),
    ]
)
literal = st.text(alphabet="a ${}.\n", min_size=1, max_size=6)
parts = st.lists(literal | some_reference, max_size=5)


def joined(given: list[str | Reference]) -> tuple[str | Reference, ...]:
    """As ``parse`` gives it: no two literals beside each other."""
    made: list[str | Reference] = []
    for part in given:
        if made and isinstance(part, str) and isinstance(made[-1], str):
            made[-1] += part
        else:
            made.append(part)
    return tuple(made)


@given(parts)
def test_every_text_has_a_canonical_form_that_reads_as_the_same_text(given: list[str | Reference]) -> None:
    text = joined(given)
    assert parse_text(canonical_text(text)) == text


@given(parts, parts)
def test_different_texts_have_different_canonical_forms(
    one: list[str | Reference], other: list[str | Reference]
) -> None:
    assert (canonical_text(joined(one)) == canonical_text(joined(other))) == (joined(one) == joined(other))


@given(st.text(alphabet="a${}.vrx", max_size=12))
def test_no_text_fails_without_a_sentence(text: str) -> None:
    try:
        assert parse_text(canonical_text(parse_text(text))) == parse_text(text)
    except ValueError as error:
        assert "${" in str(error)


@given(st.text(alphabet="a${}.vrx", max_size=12) | parts.map(lambda given: canonical_text(joined(given))))
def test_spans_are_the_references_of_a_text_that_has_no_malformed_one(text: str) -> None:
    found = find_reference_spans(text)
    assert all(text[start:end].startswith("${") for start, end, _ in found)
    malformed = [each for _, _, each in found if isinstance(each, str)]
    try:
        assert [each for _, _, each in found] == list(find_references(parse_text(text)))
    except ValueError as error:
        assert malformed[0] == str(error)
    else:
        assert not malformed


def test_references_are_found_in_their_order() -> None:
    text = parse_text("--db=${service.db.sql} ${ instance.name }!")
    assert text == ("--db=", Reference("service", "db.sql"), " ", Reference("instance", "name"), "!")
    assert [str(reference) for reference in find_references(text)] == ["${service.db.sql}", "${instance.name}"]


def test_two_dollars_before_a_brace_are_one_dollar() -> None:
    assert parse_text("$${x}") == ("${x}",)
    assert parse_text("$$${var.x}") == ("$", Reference("var", "x"))
    assert parse_text("costs 5$ and $$") == ("costs 5$ and $$",)


@pytest.mark.parametrize(
    "text",
    ["${", "${}", "${x}", "${var.X}", "${service.db}", "${instance.ip}", "${host.ip}", "${var.a.b}", "${env.HOME}"],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no reference|without '}'"):
        parse_text(text)


def test_what_is_known_is_replaced_and_the_rest_stays() -> None:
    text = parse_text("a${var.x}b${instance.name}")
    known = {Reference("var", "x"): "${not.a.reference}"}
    assert substitute_references(text, known.get) == ("a${not.a.reference}b", Reference("instance", "name"))
