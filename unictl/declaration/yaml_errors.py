"""Errors of the YAML parser, reworded so that a person can act on them. Uses pyyaml, as ``yaml_reader``."""

from dataclasses import dataclass

from yaml import MarkedYAMLError

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Place

_NESTING_HINT = (
    "Keys of one map stand in one column, what belongs to a key stands further right; values need `key: value`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlComplaint:
    """One sentence, what to do, and whether the beginning of the construct is the place to look at."""

    summary: str
    hint: str = ""
    points_at_start: bool = False


_TAB_COMPLAINT = YamlComplaint(
    summary="a tab stands in the indentation", hint="Indent with spaces: YAML takes no tabs."
)

# Words of libyaml and of PyYAML's own scanner, in lower case; the first that is part of the message wins.
_COMPLAINTS: tuple[tuple[str, YamlComplaint], ...] = (
    (
        "mapping values are not allowed",
        YamlComplaint(
            summary="a `:` stands where no key can be",
            hint="Put a text that holds ': ' in quotes; or the line above lacks its `:`. " + _NESTING_HINT,
        ),
    ),
    (
        "could not find expected ':'",
        YamlComplaint(
            summary="a key without `:`", hint="Write `key: value`, with a space after the colon.", points_at_start=True
        ),
    ),
    (
        "sequence entries are not allowed",
        YamlComplaint(summary="a list item `-` stands where none can be", hint="Begin the list on a line of its own."),
    ),
    (
        "expected ',' or '}'",
        YamlComplaint(
            summary="a `{` map is not closed, or lacks a comma",
            hint="Close it with `}` and put commas between entries.",
            points_at_start=True,
        ),
    ),
    (
        "expected ',' or ']'",
        YamlComplaint(
            summary="a `[` list is not closed, or lacks a comma",
            hint="Close it with `]` and put commas between items.",
            points_at_start=True,
        ),
    ),
    (
        "unexpected end of stream",
        YamlComplaint(
            summary="a quoted text is not closed", hint="Put the same quote at its end.", points_at_start=True
        ),
    ),
    (
        "unexpected document separator",
        YamlComplaint(
            summary="a quoted text is not closed", hint="Put the same quote at its end.", points_at_start=True
        ),
    ),
    (
        "unknown escape character",
        YamlComplaint(
            summary="an unknown escape after a backslash in double quotes",
            hint="Write two backslashes, or use single quotes, in which a backslash is nothing special.",
        ),
    ),
    ("expected key", YamlComplaint(summary="this does not fit the indentation of the lines above", hint=_NESTING_HINT)),
    (
        "expected <block end>",
        YamlComplaint(summary="this does not fit the indentation of the lines above", hint=_NESTING_HINT),
    ),
    (
        "expected '-' indicator",
        YamlComplaint(summary="this does not fit the list above", hint="Begin each item with `- `."),
    ),
    (
        "expected <document start>",
        YamlComplaint(summary="this does not fit the indentation of the lines above", hint=_NESTING_HINT),
    ),
    (
        "indentation",
        YamlComplaint(
            summary="the indentation of this block text cannot be read", hint="Indent all of its lines alike."
        ),
    ),
)


def reword_message(message: str, character: str) -> YamlComplaint:
    """What to say for the reader's ``message``; ``character`` is what stands at the place it names."""
    lower_message = message.lower()
    if "cannot start any token" in lower_message:
        return _reword_character(character)
    if "tab character" in lower_message:
        return _TAB_COMPLAINT
    match = next((candidate for part, candidate in _COMPLAINTS if part in lower_message), None)
    return match or YamlComplaint(summary=f"this cannot be read as YAML: {message}")


def _reword_character(character: str) -> YamlComplaint:
    if character == "\t":
        return _TAB_COMPLAINT
    if character in "@`%":
        return YamlComplaint(
            summary=f"a value cannot begin with `{character}`", hint=f'Put it in quotes: "{character}..."'
        )
    return YamlComplaint(summary=f"{character!r} cannot stand here", hint="Put the text in quotes.")


def explain_yaml_error(error: MarkedYAMLError, text: str, file: str) -> Diagnostic:
    """The problem behind an error of the reader, where a person would look for it."""
    error_mark, start_mark = error.problem_mark or error.context_mark, error.context_mark
    character = text[error_mark.index : error_mark.index + 1] if error_mark else ""
    reworded = reword_message(" ".join(filter(None, (error.context, error.problem))), character)
    key_span = (
        _line_without_colon(text, error_mark.line) if error_mark and "mapping values" in (error.problem or "") else None
    )
    if key_span:
        place = Place(file=file, line=key_span[0], column=key_span[1], end_column=key_span[2])
        reworded = reword_message("could not find expected ':'", "")
        return Diagnostic(code="syntax", summary=reworded.summary, hint=reworded.hint, place=place)
    marks = [(mark.line + 1, mark.column + 1) for mark in (error_mark, start_mark) if mark] or [(1, 1)]
    # What was opened and not closed is shown where it was opened; the reader notices only far below.
    marks = marks[::-1] if reworded.points_at_start else marks[:1] if reworded is _TAB_COMPLAINT else marks
    main_place, *related_places = (Place(file=file, line=line, column=column) for line, column in dict.fromkeys(marks))
    return Diagnostic(
        code="syntax", summary=reworded.summary, hint=reworded.hint, place=main_place, related=tuple(related_places)
    )


def _line_without_colon(text: str, line: int) -> tuple[int, int, int] | None:
    """Line, first and last column of the line above ``line``, if it is a key that lacks its colon."""
    lines = text.split("\n", line + 1)
    current_line, previous_line = lines[line], lines[line - 1] if line else ""
    stripped = previous_line.strip()
    indent = len(previous_line) - len(previous_line.lstrip())
    if (
        not stripped
        or ":" in stripped
        or stripped[0] in "-#"
        or indent != len(current_line) - len(current_line.lstrip())
    ):
        return None
    return line, indent + 1, indent + 1 + len(stripped)
