"""A document as YAML text in the style of a fleet file. Pure; needs no YAML library."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from unictl.views.text.layout import sanitize
from unictl.views.text.spans import Line, Span

# What YAML 1.2 reads as the same string without quotes; narrow on purpose: in doubt there are quotes.
_BARE = re.compile(r"[A-Za-z_/$*][A-Za-z0-9_./@*+${}%-]*(?: [A-Za-z0-9_./@+-]+)*|[A-Za-z][A-Za-z0-9+]*://[\w@.:/-]*\w")
_RESERVED_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}


def document_lines(document: Any, indent: int = 0) -> Iterator[Line]:
    """The document's lines: maps and lists in block form, empty ones and scalars on their key's line."""
    if isinstance(document, Mapping) and document:
        for key, value in document.items():
            yield from _entry_lines(indent, Span(f"{_scalar_text(str(key))}:", "bold"), value)
    elif isinstance(document, list | tuple) and document:
        for value in document:
            yield from _item_lines(indent, value)
    else:
        yield (Span(" " * indent), Span(_scalar_text(document)))


def _entry_lines(indent: int, key_span: Span, value: Any) -> Iterator[Line]:
    if isinstance(value, Mapping | list | tuple) and value:
        yield (Span(" " * indent), key_span)
        yield from document_lines(value, indent + 2)
    else:
        yield (Span(" " * indent), key_span, Span(f" {_scalar_text(value)}"))


def _item_lines(indent: int, value: Any) -> Iterator[Line]:
    """A list's item: its first line begins where the dash ends."""
    inner = list(document_lines(value, indent + 2))
    first = inner[0][1:] if inner else (Span(""),)
    yield (Span(" " * indent), Span("- "), *first)
    yield from inner[1:]


def _scalar_text(value: Any) -> str:
    if isinstance(value, str):
        bare = (
            _BARE.fullmatch(value)
            and value.lower() not in _RESERVED_WORDS
            and value.isascii()
            and sanitize(value) == value
        )
        return value if bare and not value.startswith("*") else json.dumps(value)
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{}"
    return "[]" if isinstance(value, list | tuple) else json.dumps(str(value))
