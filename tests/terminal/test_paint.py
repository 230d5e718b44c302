"""Style words as colours."""

from unictl.terminal.paint import paint
from unictl.views.text.spans import Span


def test_without_colour_there_is_not_one_escape() -> None:
    assert paint((Span("- api", "destroy"), Span("  "), Span("x", "dim")), False) == "- api  x"


def test_a_style_word_is_a_colour_and_two_are_both() -> None:
    assert paint((Span("no", "error"),), True) == "\x1b[1;31mno\x1b[0m"
    assert paint((Span("yes", "create bold"),), True) == "\x1b[32;1myes\x1b[0m"


def test_an_unknown_word_and_blanks_are_not_coloured() -> None:
    assert paint((Span("a", "nothing"), Span("  ", "error"), Span("b")), True) == "a  b"
