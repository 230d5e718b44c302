"""The nearest place in the files for a path in the fleet, and the source line at a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unictl.diagnostics.place import DocumentPath as Where
    from unictl.diagnostics.place import Place


def nearest_place(path: Where, places: Mapping[Where, Place]) -> Place | None:
    """Where ``path``, or the nearest thing above it, was written."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path)


def source_line(place: Place | None, texts: Mapping[str, str]) -> str:
    """The line at ``place``."""
    if place is None or place.file not in texts:
        return ""
    lines = texts[place.file].splitlines()
    return lines[place.line - 1] if place.line <= len(lines) else ""
