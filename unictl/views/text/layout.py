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


def clean(text: str) -> str:
    """``text`` with colour sequences left out and every other control character written as an escape."""
    return _UNSAFE.sub(_escape, _COLOUR.sub("", text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def plain(line: Line) -> str:
    """A line without its styles and without blanks at its end."""
    return "".join(span.text for span in line).rstrip()


def text(lines: Iterable[Line]) -> str:
    """Lines without their styles, each with its end."""
    return "".join(f"{plain(line)}\n" for line in lines)


def one(text: str, style: str = "") -> Line:
    """A line of one span."""
    return (Span(text, style),)


def wrap(text: str, width: int, indent: int = 0, style: str = "") -> tuple[Line, ...]:
    """``text`` broken between words, every line indented; a word longer than a line stays whole."""
    pieces = textwrap.wrap(clean(text), max(20, width - indent), break_long_words=False, break_on_hyphens=False)
    return tuple((Span(" " * indent), Span(piece, style)) for piece in pieces)


def ends(left: Line, right: Line, width: int) -> Line:
    """A line with something at its left and something at its right end; two blanks between them at least."""
    if not right:
        return left
    gap = width - len(plain(left)) - len(plain(right))
    return (*left, Span(" " * max(2, gap)), *right)


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = (), indent: int = 2) -> tuple[Line, ...]:
    """Columns as wide as their widest cell, two blanks between them, the head dim."""
    cells = [*([tuple(head)] if head else []), *rows]
    widths = [max((len(row[n]) for row in cells), default=0) for n in range(len(cells[0]) if cells else 0)]
    lines = [
        " " * indent + "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)) for row in cells
    ]
    return tuple(one(line.rstrip(), "dim" if head and n == 0 else "") for n, line in enumerate(lines))


def elide(text: str, size: int) -> str:
    """At most ``size`` characters, the middle left out where there are more."""
    if len(text) <= size:
        return text
    left = max(1, (size - 1) // 2)
    return f"{text[:left]}\u2026{text[-max(1, size - 1 - left) :]}"


def counted(number: int, word: str, plural: str = "") -> str:
    """``1 host``, ``3 hosts``."""
    return f"{number} {word if number == 1 else plural or word + 's'}"


def some(names: Sequence[str], most: int = 3) -> str:
    """``hv1, hv2 and 5 more``."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
