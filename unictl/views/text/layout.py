"""Lines of spans: widths, indents, wrapping, tables, and making untrusted text safe to print. Pure.

Text from a fleet file, a host or a guest passes `sanitize` before it is shown, so that no control character in it
reaches a terminal.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence

from unictl.views.text.spans import Line, Span

EMPTY: Line = ()
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# Directional overrides print nothing and turn what follows around, so that a line reads as something else.
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def sanitize(text: str) -> str:
    """``join_lines`` with colour sequences left out and every other control character written as an escape."""
    return _UNSAFE.sub(_escape, _COLOUR.sub("", text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def plain_text(line: Line) -> str:
    """A line without its styles and without blanks at its end."""
    return "".join(span.text for span in line).rstrip()


def join_lines(lines: Iterable[Line]) -> str:
    """Lines without their styles, each with its end."""
    return "".join(f"{plain_text(line)}\n" for line in lines)


def styled_line(text: str, style: str = "") -> Line:
    """A line of one span."""
    return (Span(text, style),)


def wrap(text: str, width: int, indent: int = 0, style: str = "") -> tuple[Line, ...]:
    """``join_lines`` broken between words, every line indented; a word longer than a line stays whole."""
    pieces = textwrap.wrap(sanitize(text), max(20, width - indent), break_long_words=False, break_on_hyphens=False)
    return tuple((Span(" " * indent), Span(piece, style)) for piece in pieces)


def justify(start: Line, end: Line, width: int) -> Line:
    """A line with something at its left and something at its right end; two blanks between them at least."""
    if not end:
        return start
    gap = width - len(plain_text(start)) - len(plain_text(end))
    return (*start, Span(" " * max(2, gap)), *end)


def format_table(body_rows: Sequence[Sequence[str]], header: Sequence[str] = (), indent: int = 2) -> tuple[Line, ...]:
    """Columns as wide as their widest cell, two blanks between them, the head dim."""
    cells = [*([tuple(header)] if header else []), *body_rows]
    widths = [
        max((len(cell_row[index]) for cell_row in cells), default=0) for index in range(len(cells[0]) if cells else 0)
    ]
    lines = [
        " " * indent + "  ".join(cell.ljust(size) for cell, size in zip(cell_row, widths, strict=True))
        for cell_row in cells
    ]
    return tuple(styled_line(line.rstrip(), "dim" if header and index == 0 else "") for index, line in enumerate(lines))


def elide(text: str, size: int) -> str:
    """At most ``size`` characters, the middle left out where there are more."""
    if len(text) <= size:
        return text
    start_size = max(1, (size - 1) // 2)
    return f"{text[:start_size]}\u2026{text[-max(1, size - 1 - start_size) :]}"


def count_of(number: int, word: str, plural: str = "") -> str:
    """``1 host``, ``3 hosts``."""
    return f"{number} {word if number == 1 else plural or word + 's'}"


def abbreviate(names: Sequence[str], most: int = 3) -> str:
    """``hv1, hv2 and 5 more``."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
