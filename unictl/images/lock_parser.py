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
from unictl.diagnostics.sources import Sources
from unictl.guests.image_facts import ImageFacts
from unictl.images.lock_file import FILE_NAME, FORMAT_VERSION, EndpointRange, LockFile, find_duplicate_numbers

_CONFLICT_HINT = "take one side, then run `unictl lock`"
_RESTORE_HINT = "take it from git again, then run `unictl lock`; without it every endpoint gets a new number"
_CONFLICT_MARKER = re.compile(r"^(<{7}|={7}|>{7}|\|{7})(?: |$)", re.MULTILINE)


def parse_lock_file(text: str) -> LockFile:
    """The Lock in ``text``; InvalidFleet with the place where it is none, or was written by a newer unictl."""
    marker = _CONFLICT_MARKER.search(text)
    if marker:
        problem_place = _place_between(text, marker.start(), marker.end(1))
        raise damaged_failure(
            text, "git's conflict markers stand in it: a merge was not finished", _CONFLICT_HINT, problem_place
        )
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        problem_place = Place(file=FILE_NAME, line=error.lineno, column=error.colno)
        if not text.strip():
            raise damaged_failure(text, "it is empty", _RESTORE_HINT, Place(file=FILE_NAME, line=1, column=1)) from None
        raise damaged_failure(
            text, "from here on it is not what unictl wrote: no JSON", _RESTORE_HINT, problem_place
        ) from None
    except (ValueError, RecursionError):
        raise damaged_failure(text, "it is not what unictl wrote", _RESTORE_HINT, None) from None
    return _build_lock(tree, text)


def _build_lock(tree: Any, text: str) -> LockFile:
    start = Place(file=FILE_NAME, line=1, column=1)
    if not isinstance(tree, Mapping):
        raise damaged_failure(text, "it is no map", _RESTORE_HINT, start)
    for key, kind, expected in (("format", int, "a number"), ("images", dict, "a map"), ("endpoints", dict, "a map")):
        if key not in tree:
            raise damaged_failure(text, f"it lacks {key!r}", _RESTORE_HINT, start)
        if not isinstance(tree[key], kind):
            raise damaged_failure(text, f"its {key!r} is not {expected}", _RESTORE_HINT, find_key_place(text, key))
    if tree["format"] > FORMAT_VERSION:
        raise InvalidFleet(
            f"{FILE_NAME} was written by a newer unictl (format {tree['format']})", hint="upgrade unictl"
        )
    for key, number in tree["endpoints"].items():
        if not isinstance(number, int):
            raise damaged_failure(text, f"the endpoint {key} has no number", _RESTORE_HINT, find_key_place(text, key))
    parts = {name: _check_parts(name, parts, text) for name, parts in tree["images"].items()}
    return LockFile(
        images={
            name: {part: ImageFacts.from_json(entry) for part, entry in entries.items()}
            for name, entries in parts.items()
        },
        origins={
            name: {part: entry.get("source", "") for part, entry in entries.items()} for name, entries in parts.items()
        },
        endpoints=tree["endpoints"],
    )


def _check_parts(name: str, parts: Any, text: str) -> dict[str, dict[str, Any]]:
    """What is said of one image's files, as far as facts can be made of it."""
    if not isinstance(parts, dict) or not all(_is_file_entry(entry) for entry in parts.values()):
        complaint = f"what it says of the image {name!r} cannot be read"
        raise damaged_failure(text, complaint, _RESTORE_HINT, find_key_place(text, name))
    return parts


def _is_file_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and re.fullmatch("[0-9a-f]{64}", str(entry.get("sha256"))) is not None
        and isinstance(entry.get("size"), int)
        and isinstance(entry.get("protocols", []), list)
        and isinstance(entry.get("notes", {}), dict)
        and isinstance(entry.get("source", ""), str)
    )


def damaged_failure(text: str, complaint: str, hint: str, place: Place | None) -> InvalidFleet:
    """The failure of a lock that cannot be used."""
    problem = Diagnostic(
        code="lock-damaged",
        summary=f"{FILE_NAME} is damaged: {complaint}",
        hint=hint,
        place=place,
        source=Sources({FILE_NAME: text}).line(place),
    )
    return InvalidFleet(f"{FILE_NAME} cannot be read", problems=(problem,))


def duplicate_number_problems(
    text: str, pinned: Mapping[str, int], ranges: Iterable[EndpointRange]
) -> tuple[Diagnostic, ...]:
    """A problem for each endpoint that has the number of another: as a merge of two branches leaves it."""
    sources = Sources({FILE_NAME: text})
    return tuple(
        Diagnostic(
            code="endpoint-shared",
            summary=f"{FILE_NAME} gives {key} and {holder} one number, {pinned[key]}, as a merge of two branches does",
            hint=f"run `unictl lock`, which gives {key} a number of its own, and commit fleet.lock",
            place=find_key_place(text, key),
            source=sources.line(find_key_place(text, key)),
            related=tuple(filter(None, (find_key_place(text, holder),))),
        )
        for key, holder in find_duplicate_numbers(pinned, ranges).items()
    )


def find_key_place(text: str, key: str) -> Place | None:
    """Where ``key`` stands for the first time."""
    key_match = re.search(re.escape(json.dumps(key)) + r"\s*:", text)
    return _place_between(text, key_match.start(), key_match.start() + len(json.dumps(key))) if key_match else None


def _place_between(text: str, start: int, end: int) -> Place:
    line_start = text.rfind("\n", 0, start) + 1
    line, column = text.count("\n", 0, start) + 1, start - line_start + 1
    return Place(file=FILE_NAME, line=line, column=column, end_column=column + end - start)
