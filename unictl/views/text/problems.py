"""Problems as lines and as JSON: what, where, the source line with a caret, why, and what to do next. Pure."""

from collections.abc import Iterable
from unicodedata import east_asian_width

from unictl.diagnostics.diagnostic import Diagnostic, Severity, errors
from unictl.fleet.json_document import Json
from unictl.views.text.layout import EMPTY, sanitize, styled_line, wrap
from unictl.views.text.spans import Line, Span

_MAX_SOURCE_LENGTH = 400
"""Characters of a source line that are looked at: a longer one is a minified file, not something to read."""
_MARGIN = 12
"""How much of a long source line is shown before what is meant."""


def render(problems: Iterable[Diagnostic], *, width: int = 80, counting: bool = True) -> tuple[Line, ...]:
    """The problems by place, an empty line between them; where there are several, a line that counts them last.

    ``counting`` is false where what follows says how many there are.
    """
    ordered = sorted(problems, key=_sort_key)
    lines = [line for problem in ordered for line in (*_problem_lines(problem, width), EMPTY)]
    return (*lines, styled_line(_count_line(ordered), "bold")) if counting and len(ordered) > 1 else tuple(lines[:-1])


def to_json(problems: Iterable[Diagnostic]) -> list[dict[str, Json]]:
    """One document a problem: severity, code, summary, detail, hint, range, snippet, related."""
    return [_to_document(problem) for problem in sorted(problems, key=_sort_key)]


def _sort_key(problem: Diagnostic) -> tuple[object, ...]:
    place = problem.place
    where = (place.file, place.line, place.column) if place else ("", 0, 0)
    return (*where, problem.severity is Severity.WARNING, problem.code, problem.summary)


def _problem_lines(problem: Diagnostic, width: int) -> Iterable[Line]:
    style = problem.severity.value
    if problem.place is not None:
        yield (Span(str(problem.place), "bold"),)
    headline = wrap(f"{problem.severity.value}: {problem.summary}", width, 0)
    for number, line in enumerate(headline):
        yield tuple(Span(span.text, style if number == 0 else "") for span in line)
    yield from _snippet_lines(problem, width)
    if problem.detail:
        for text in problem.detail.splitlines():
            yield from wrap(text, width, 2)
    for place in problem.related:
        yield styled_line(f"  see also {place}", "dim")
    if problem.hint:
        yield from wrap(f"-> {problem.hint}", width, 2)


def _snippet_lines(problem: Diagnostic, width: int) -> Iterable[Line]:
    """The source line, and a caret under every column that is meant."""
    place = problem.place
    if place is None or not problem.source.strip() or place.column > _MAX_SOURCE_LENGTH:
        return
    source, gutter = problem.source, len(str(place.line))
    start = min(place.column - 1, len(source))
    end = max(start + 1, min((place.end_column or place.column + 1) - 1, len(source)))
    parts = (source[:start], source[start:end], source[end : end + _MAX_SOURCE_LENGTH])
    before, marked, after = (sanitize(part.replace("\t", " ")) for part in parts)
    before, marked, after = _fit(before, marked, after, max(20, width - gutter - 5))
    yield (Span(f"  {place.line} | ", "dim"), Span(f"{before}{marked}{after}".rstrip()))
    blank = Span(f"  {' ' * gutter} | ", "dim")
    yield (
        blank,
        Span(" " * _display_width(before)),
        Span("^" * max(1, _display_width(marked)), problem.severity.value),
    )


def _fit(before: str, marked: str, after: str, room: int) -> tuple[str, str, str]:
    """The three parts of a line, cut where it is longer than ``room``; what is cut off shows as dots."""
    if len(before) + len(marked) + len(after) <= room:
        return before, marked, after
    if len(before) + len(marked) > room:
        margin = max(0, min(_MARGIN, room - len(marked) - 3))
        before = f"...{before[len(before) - margin :]}" if len(before) > margin + 3 else before
    remaining = room - len(before)
    if len(marked) > remaining:
        return before, f"{marked[: max(1, remaining - 3)]}...", ""
    remaining -= len(marked)
    return before, marked, after if len(after) <= remaining else f"{after[: max(0, remaining - 3)]}..."[:remaining]


def _display_width(shown: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in shown)


def _count_line(problems: list[Diagnostic]) -> str:
    failing, files = len(errors(problems)), sorted({problem.place.file for problem in problems if problem.place})
    warning_count = len(problems) - failing
    parts = [
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((failing, "problem"), (warning_count, "warning"))
        if count
    ]
    where = f" in {files[0]}" if len(files) == 1 else f" in {len(files)} files" if files else ""
    return f"{' and '.join(parts)}{where}"


def _to_document(problem: Diagnostic) -> dict[str, Json]:
    document: dict[str, Json] = {
        "severity": problem.severity.value,
        "code": problem.code,
        "summary": problem.summary,
        "detail": problem.detail,
        "hint": problem.hint,
    }
    place = problem.place
    if place is not None:
        end = place.end_column or place.column + 1
        document["range"] = {
            "file": place.file,
            "start": {"line": place.line, "column": place.column},
            "end": {"line": place.line, "column": end},
        }
        document["snippet"] = problem.source
    if problem.related:
        document["related"] = [str(related_place) for related_place in problem.related]
    return document
