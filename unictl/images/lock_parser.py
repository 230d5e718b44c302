"""Parser of ``fleet.lock``. Where the file is damaged: what is wrong, at which line and column, and what to do.

A lock file is damaged by a merge more often than by anything else, so git's conflict markers are recognised.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import InvalidFleet
from unictl.diagnostics.place import Place
from unictl.guests.image_facts import ImageFacts
from unictl.images.lock_file import FORMAT, NAME, Lock, Range, doubles

_SIDE = "take one side, then run `unictl lock`"
_AGAIN = "take it from git again, then run `unictl lock`; without it every endpoint gets a new number"
_MARKER = re.compile(r"^(<{7}|={7}|>{7}|\|{7})(?: |$)", re.MULTILINE)


def read(text: str) -> Lock:
    """The Lock in ``text``; InvalidFleet with the place where it is none, or was written by a newer unictl."""
    marker = _MARKER.search(text)
    if marker:
        at = _place(text, marker.start(), marker.end(1))
        raise damaged(text, "git's conflict markers stand in it: a merge was not finished", _SIDE, at)
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        at = Place(file=NAME, line=error.lineno, column=error.colno)
        if not text.strip():
            raise damaged(text, "it is empty", _AGAIN, Place(file=NAME, line=1, column=1)) from None
        raise damaged(text, "from here on it is not what unictl wrote: no JSON", _AGAIN, at) from None
    except (ValueError, RecursionError):
        raise damaged(text, "it is not what unictl wrote", _AGAIN, None) from None
    return _lock(tree, text)


def _lock(tree: Any, text: str) -> Lock:
    start = Place(file=NAME, line=1, column=1)
    if not isinstance(tree, Mapping):
        raise damaged(text, "it is no map", _AGAIN, start)
    for key, kind, what in (("format", int, "a number"), ("images", dict, "a map"), ("endpoints", dict, "a map")):
        if key not in tree:
            raise damaged(text, f"it lacks {key!r}", _AGAIN, start)
        if not isinstance(tree[key], kind):
            raise damaged(text, f"its {key!r} is not {what}", _AGAIN, place_of(text, key))
    if tree["format"] > FORMAT:
        raise InvalidFleet(f"{NAME} was written by a newer unictl (format {tree['format']})", hint="upgrade unictl")
    for key, number in tree["endpoints"].items():
        if not isinstance(number, int):
            raise damaged(text, f"the endpoint {key} has no number", _AGAIN, place_of(text, key))
    parts = {name: _parts(name, parts, text) for name, parts in tree["images"].items()}
    return Lock(
        images={name: {part: ImageFacts.from_json(row) for part, row in rows.items()} for name, rows in parts.items()},
        origins={name: {part: row.get("source", "") for part, row in rows.items()} for name, rows in parts.items()},
        endpoints=tree["endpoints"],
    )


def _parts(name: str, parts: Any, text: str) -> dict[str, dict[str, Any]]:
    """What is said of one image's files, as far as facts can be made of it."""
    if not isinstance(parts, dict) or not all(_is_file(row) for row in parts.values()):
        wrong = f"what it says of the image {name!r} cannot be read"
        raise damaged(text, wrong, _AGAIN, place_of(text, name))
    return parts


def _is_file(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and re.fullmatch("[0-9a-f]{64}", str(row.get("sha256"))) is not None
        and isinstance(row.get("size"), int)
        and isinstance(row.get("protocols", []), list)
        and isinstance(row.get("notes", {}), dict)
        and isinstance(row.get("source", ""), str)
    )


def damaged(text: str, what: str, hint: str, place: Place | None) -> InvalidFleet:
    """The failure of a lock that cannot be used."""
    found = Diagnostic(
        code="lock-damaged", summary=f"{NAME} is damaged: {what}", hint=hint, place=place, source=_line(text, place)
    )
    return InvalidFleet(f"{NAME} cannot be read", problems=(found,))


def shared_numbers(text: str, pinned: Mapping[str, int], ranges: Iterable[Range]) -> tuple[Diagnostic, ...]:
    """A problem for each endpoint that has the number of another: as a merge of two branches leaves it."""
    return tuple(
        Diagnostic(
            code="endpoint-shared",
            summary=f"{NAME} gives {key} and {holder} one number, {pinned[key]}, as a merge of two branches does",
            hint=f"run `unictl lock`, which gives {key} a number of its own, and commit fleet.lock",
            place=place_of(text, key),
            source=_line(text, place_of(text, key)),
            related=tuple(filter(None, (place_of(text, holder),))),
        )
        for key, holder in doubles(pinned, ranges).items()
    )


def place_of(text: str, key: str) -> Place | None:
    """Where ``key`` stands for the first time."""
    at = re.search(re.escape(json.dumps(key)) + r"\s*:", text)
    return _place(text, at.start(), at.start() + len(json.dumps(key))) if at else None


def _place(text: str, start: int, end: int) -> Place:
    before = text.rfind("\n", 0, start) + 1
    line, column = text.count("\n", 0, start) + 1, start - before + 1
    return Place(file=NAME, line=line, column=column, end_column=column + end - start)


def _line(text: str, place: Place | None) -> str:
    lines = text.split("\n")
    return lines[place.line - 1] if place and place.line <= len(lines) else ""
