"""Turns findings, which know a path in the fleet, into diagnostics with a place in a file and its source line.

The only code that does so. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from unictl.diagnostics.diagnostic import Diagnostic, Problems
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath, Place
from unictl.diagnostics.sources import Sources


class PlaceIndex(Protocol):
    """Where every path of a fleet was written."""

    def __contains__(self, path: object, /) -> bool:
        """Whether something was written at ``path`` itself."""

    def nearest(self, path: DocumentPath, *, key: bool = False) -> Place | None:
        """The place of ``path``, or of the nearest thing above it that was written; ``key``: of its key."""


class PlaceTable:
    """A place index for a few places that are known without a document."""

    __slots__ = ("_places",)

    def __init__(self, places: Mapping[DocumentPath, Place]):
        self._places = places

    def __contains__(self, path: object, /) -> bool:
        return path in self._places

    def nearest(self, path: DocumentPath, *, key: bool = False) -> Place | None:  # noqa: ARG002 - keys have no place
        """The place of ``path``, or of the nearest path above it."""
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path)


NO_PLACES = PlaceTable({})
NO_SOURCES = Sources({})


def resolve_findings(findings: Iterable[Finding], places: PlaceIndex, sources: Sources = NO_SOURCES) -> Problems:
    """Each finding as a diagnostic, in the same order."""
    return tuple(_resolve_finding(finding, places, sources) for finding in findings)


def _resolve_finding(finding: Finding, places: PlaceIndex, sources: Sources) -> Diagnostic:
    place = _deciding_place(finding, places)
    related = dict.fromkeys(places.nearest(path, key=finding.at_key) for path in finding.related)
    return Diagnostic(
        code=finding.code,
        summary=finding.summary,
        severity=finding.severity,
        detail=finding.detail,
        hint=finding.hint,
        place=place,
        source=sources.line(place),
        related=tuple(related_place for related_place in related if related_place and related_place != place),
    )


def _deciding_place(finding: Finding, places: PlaceIndex) -> Place | None:
    """The key that decides; if it is not written, what ``fallback_path`` names."""
    place = places.nearest(finding.path, key=finding.at_key)
    if finding.fallback_path and finding.path not in places:
        return places.nearest(finding.fallback_path) or place
    return place


def with_source_lines(problems: Iterable[Diagnostic], sources: Sources) -> Problems:
    """Diagnostics with the source line at their place; one that is elsewhere keeps what it has."""
    return tuple(_with_source_line(problem, sources) for problem in problems)


def _with_source_line(problem: Diagnostic, sources: Sources) -> Diagnostic:
    line = sources.line(problem.place)
    return replace(problem, source=line) if line else problem
