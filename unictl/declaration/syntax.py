"""What the YAML reader complains about, in words a person can act on."""

from dataclasses import dataclass

_NESTING = "Keys of one map stand in one column, what belongs to a key stands further right; values need `key: value`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One sentence, what to do, and whether the beginning of the construct is the place to look at."""

    summary: str
    hint: str = ""
    at_beginning: bool = False


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
    known = next((said for part, said in _KNOWN if part in lower), None)
    return known or Words(summary=f"this cannot be read as YAML: {message}")


def _character(character: str) -> Words:
    if character == "\t":
        return Words(summary="a tab stands in the indentation", hint="Indent with spaces: YAML takes no tabs.")
    if character in "@`%":
        return Words(summary=f"a value cannot begin with `{character}`", hint=f'Put it in quotes: "{character}..."')
    return Words(summary=f"{character!r} cannot stand here", hint="Put the text in quotes.")
