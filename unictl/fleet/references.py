"""Texts with references: the closed set ``${...}`` of the fleet language. Pure, no logic, no nesting.

A Text is a tuple of literal strings and References. ``$${`` is a literal ``${``. In a run of dollars before a brace
each pair is one literal dollar, so that ``$$${var.x}`` is a dollar before a reference: without that, a literal
ending in a dollar before a reference could not be written, and two different texts would have one canonical form.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

_TOKEN = re.compile(r"(\$+)\{")
_DOLLARS = re.compile(r"\$+(?=\{)|\$+\Z")
_NAME = r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?"
_FORMS = (
    (rf"var\.({_NAME})", "var"),
    (rf"secret\.({_NAME})", "secret"),
    (rf"service\.({_NAME}\.{_NAME})", "service"),
    (r"instance\.(name|ordinal|address)", "instance"),
    (r"host\.(name)", "host"),
    (r"fleet\.(name)", "fleet"),
)


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """``kind`` is var, secret, service, instance, host or fleet; ``name`` what stands after the first dot."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"${{{self.kind}.{self.name}}}"


Text = tuple[str | Reference, ...]


def parse_text(text: str) -> Text:
    """The parts of ``text``; ValueError with a sentence where a reference is malformed."""
    parts: list[str | Reference] = []
    end = 0
    while match := _TOKEN.search(text, end):
        dollars = len(match[1])
        _append_literal(parts, text[end : match.start()] + "$" * (dollars // 2))
        end = match.end()
        if dollars % 2 == 0:
            _append_literal(parts, "{")
            continue
        close = text.find("}", end)
        if close < 0:
            raise ValueError(_unclosed_message(text))
        parts.append(_parse_reference(text[end:close]))
        end = close + 1
    _append_literal(parts, text[end:])
    return tuple(parts)


def find_reference_spans(text: str) -> tuple[tuple[int, int, Reference | str], ...]:
    """Where every reference of ``text`` begins and ends, with it, or with a sentence where it is malformed."""
    spans_so_far: list[tuple[int, int, Reference | str]] = []
    end = 0
    while match := _TOKEN.search(text, end):
        end = match.end()
        if len(match[1]) % 2 == 0:
            continue
        start, close = end - 2, text.find("}", end)
        if close < 0:
            return (*spans_so_far, (start, len(text), _unclosed_message(text)))
        try:
            spans_so_far.append((start, close + 1, _parse_reference(text[end:close])))
        except ValueError as error:
            spans_so_far.append((start, close + 1, str(error)))
        end = close + 1
    return tuple(spans_so_far)


def _unclosed_message(text: str) -> str:
    return f"'${{' without '}}' in {text!r}: close it, or write $${{ for a literal ${{"


def _append_literal(parts: list[str | Reference], text: str) -> None:
    if not text:
        return
    last = parts[-1] if parts else None
    if isinstance(last, str):
        parts[-1] = last + text
    else:
        parts.append(text)


def _parse_reference(inside: str) -> Reference:
    for form, kind in _FORMS:
        match = re.fullmatch(form, inside.strip())
        if match:
            return Reference(kind, match[1])
    raise ValueError(
        f"${{{inside}}} is no reference: there are ${{var.X}}, ${{secret.X}}, ${{service.S.PORT}}, ${{instance.name}}, "
        "${instance.ordinal}, ${instance.address}, ${host.name} and ${fleet.name}"
    )


def find_references(text: Text) -> Iterator[Reference]:
    """The references in ``text``, in order."""
    return (part for part in text if isinstance(part, Reference))


def substitute_references(text: Text, resolve: Callable[[Reference], str | None]) -> Text:
    """``text`` with every reference that ``resolve`` answers replaced; the others stay."""
    parts: list[str | Reference] = []
    for part in text:
        if isinstance(part, str):
            _append_literal(parts, part)
            continue
        value = resolve(part)
        if value is None:
            parts.append(part)
        else:
            _append_literal(parts, value)
    return tuple(parts)


def canonical_text(text: Text) -> str:
    """One string for ``text`` in which references stay tokens; ``parse_text`` of it gives ``text`` again."""
    return "".join(
        _escape_literal(part, before_reference=isinstance(following, Reference)) if isinstance(part, str) else str(part)
        for part, following in zip_longest(text, text[1:])
    )


def _escape_literal(literal: str, *, before_reference: bool) -> str:
    def double_dollars(match: re.Match[str]) -> str:
        at_end = match.end() == len(literal)
        return match[0] if at_end and not before_reference else match[0] * 2

    return _DOLLARS.sub(double_dollars, literal)
