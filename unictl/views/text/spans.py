"""Styled text as values: a line is a tuple of spans, a span is a text with a style word. Pure; knows no colours.

The style words are `create`, `destroy`, `replace`, `adjust`, `error`, `warning`, `dim`, `bold` and the empty one;
`terminal.paint` maps them to colours.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line in one style."""

    text: str
    style: str = ""


Line = tuple[Span, ...]
"""One line of output, without its end."""
