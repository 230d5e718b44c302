"""Errors of the YAML parser, reworded so that a person can act on them. Uses pyyaml, as ``yaml_reader``."""

from dataclasses import dataclass

from yaml import MarkedYAMLError

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Place

_NESTING = "Keys of one map stand in one column, what belongs to a key stands further right; values need `key: value`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One sentence, what to do, and whether the beginning of the construct is the place to look at."""

    summary: str
    hint: str = ""
    at_beginning: bool = False


_TAB = Words(summary="a tab stands in the indentation", hint="Indent with spaces: YAML takes no tabs.")

# Words of libyaml and of PyYAML's own scanner, in lower case; the first that is part of the message wins.
_KNOWN: tuple[tuple[str, Words], ...] = (
    (
        "mapping values are not allowed",
        Words(
            summary="a `:` stands where no key can be",
            hint="Put a text that holds ': ' in quotes; or the line above lacks its `:`. " + _NESTING,
        ),
    ),
    (
        "could not find expected ':'",
        Words(summary="a key without `:`", hint="Write `key: value`, with a space after the colon.", at_beginning=True),
    ),
    (
        "sequence entries are not allowed",
        Words(summary="a list item `-` stands where none can be", hint="Begin the list on a line of its own."),
    ),
    (
        "expected ',' or '}'",
        Words(
            summary="a `{` map is not closed, or lacks a comma",
            hint="Close it with `}` and put commas between entries.",
            at_beginning=True,
        ),
    ),
    (
        "expected ',' or ']'",
        Words(
            summary="a `[` list is not closed, or lacks a comma",
            hint="Close it with `]` and put commas between items.",
            at_beginning=True,
        ),
    ),
    (
        "unexpected end of stream",
        Words(summary="a quoted text is not closed", hint="Put the same quote at its end.", at_beginning=True),
    ),
    (
        "unexpected document separator",
        Words(summary="a quoted text is not closed", hint="Put the same quote at its end.", at_beginning=True),
    ),
    (
        "unknown escape character",
        Words(
            summary="an unknown escape after a backslash in double quotes",
            hint="Write two backslashes, or use single quotes, in which a backslash is nothing special.",
        ),
    ),
    ("expected key", Words(summary="this does not fit the indentation of the lines above", hint=_NESTING)),
    ("expected <block end>", Words(summary="this does not fit the indentation of the lines above", hint=_NESTING)),
    ("expected '-' indicator", Words(summary="this does not fit the list above", hint="Begin each item with `- `.")),
    ("expected <document start>", Words(summary="this does not fit the indentation of the lines above", hint=_NESTING)),
    (
        "indentation",
        Words(summary="the indentation of this block text cannot be read", hint="Indent all of its lines alike."),
    ),
)


def words(message: str, character: str) -> Words:
    """What to say for the reader's ``message``; ``character`` is what stands at the place it names."""
    lower = message.lower()
    if "cannot start any token" in lower:
        return _character(character)
    if "tab character" in lower:
        return _TAB
    known = next((said for part, said in _KNOWN if part in lower), None)
    return known or Words(summary=f"this cannot be read as YAML: {message}")


def _character(character: str) -> Words:
    if character == "\t":
        return _TAB
    if character in "@`%":
        return Words(summary=f"a value cannot begin with `{character}`", hint=f'Put it in quotes: "{character}..."')
    return Words(summary=f"{character!r} cannot stand here", hint="Put the text in quotes.")


def complaint(error: MarkedYAMLError, text: str, file: str) -> Diagnostic:
    """The problem behind an error of the reader, where a person would look for it."""
    noticed, began = error.problem_mark or error.context_mark, error.context_mark
    character = text[noticed.index : noticed.index + 1] if noticed else ""
    said = words(" ".join(filter(None, (error.context, error.problem))), character)
    above = _without_colon(text, noticed.line) if noticed and "mapping values" in (error.problem or "") else None
    if above:
        place = Place(file=file, line=above[0], column=above[1], end_column=above[2])
        said = words("could not find expected ':'", "")
        return Diagnostic(code="syntax", summary=said.summary, hint=said.hint, place=place)
    marks = [(mark.line + 1, mark.column + 1) for mark in (noticed, began) if mark] or [(1, 1)]
    # What was opened and not closed is shown where it was opened; the reader notices only far below.
    marks = marks[::-1] if said.at_beginning else marks[:1] if said is _TAB else marks
    at, *others = (Place(file=file, line=line, column=column) for line, column in dict.fromkeys(marks))
    return Diagnostic(code="syntax", summary=said.summary, hint=said.hint, place=at, related=tuple(others))


def _without_colon(text: str, line: int) -> tuple[int, int, int] | None:
    """Line, first and last column of the line above ``line``, if it is a key that lacks its colon."""
    lines = text.split("\n", line + 1)
    here, above = lines[line], lines[line - 1] if line else ""
    bare = above.strip()
    indent = len(above) - len(above.lstrip())
    if not bare or ":" in bare or bare[0] in "-#" or indent != len(here) - len(here.lstrip()):
        return None
    return line, indent + 1, indent + 1 + len(bare)
