"""Style words as ANSI colours. Pure; does not import rich, so that a coloured plan costs no import."""

from collections.abc import Mapping

from unictl.views.text.layout import plain_text
from unictl.views.text.spans import Line

_CODES: Mapping[str, str] = {
    "create": "32",
    "destroy": "31",
    "replace": "33",
    "adjust": "36",
    "error": "1;31",
    "warning": "33",
    "dim": "2",
    "bold": "1",
}
RESTORE = "\x1b[0m\x1b[?25h"
"""Ends colours and shows the cursor: what a terminal needs whatever was going on."""


def paint(line: Line, colour: bool) -> str:
    """A line as text, coloured where that is wanted. A style may be several words."""
    if not colour:
        return plain_text(line)
    return "".join(_paint_span(span.text, span.style) for span in line).rstrip(" ")


def _paint_span(text: str, style: str) -> str:
    codes = ";".join(_CODES[word] for word in style.split() if word in _CODES)
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text.strip() else text
