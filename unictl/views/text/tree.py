"""A document as YAML text in the style of a fleet file. Pure; needs no YAML library."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from unictl.views.text.layout import clean
from unictl.views.text.spans import Line, Span

# What YAML 1.2 reads as the same string without quotes; narrow on purpose: in doubt there are quotes.
_BARE = re.compile(r"[A-Za-z_/$*][A-Za-z0-9_./@*+${}%-]*(?: [A-Za-z0-9_./@+-]+)*|[A-Za-z][A-Za-z0-9+]*://[\w@.:/-]*\w")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}


def lines(document: Any, indent: int = 0) -> Iterator[Line]:
    """The document's lines: maps and lists in block form, empty ones and scalars on their key's line."""
    if isinstance(document, Mapping) and document:
        for key, value in document.items():
            yield from _entry(indent, Span(f"{_scalar(str(key))}:", "bold"), value)
    elif isinstance(document, list | tuple) and document:
        for value in document:
            yield from _item(indent, value)
    else:
        yield (Span(" " * indent), Span(_scalar(document)))


def _entry(indent: int, head: Span, value: Any) -> Iterator[Line]:
    if isinstance(value, Mapping | list | tuple) and value:
        yield (Span(" " * indent), head)
        yield from lines(value, indent + 2)
    else:
        yield (Span(" " * indent), head, Span(f" {_scalar(value)}"))


def _item(indent: int, value: Any) -> Iterator[Line]:
    """A list's item: its first line begins where the dash ends."""
    inner = list(lines(value, indent + 2))
    first = inner[0][1:] if inner else (Span(""),)
    yield (Span(" " * indent), Span("- "), *first)
    yield from inner[1:]


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and value.lower() not in _WORDS and value.isascii() and clean(value) == value
        return value if bare and not value.startswith("*") else json.dumps(value)
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{}"
    return "[]" if isinstance(value, list | tuple) else json.dumps(str(value))
