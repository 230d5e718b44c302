"""Problems as lines and as JSON: what, where, the line itself with a caret under it, why, and what to do next. Pure."""

from collections.abc import Iterable
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic, Severity, errors
from unictl.views.layout import EMPTY, clean, one, wrap
from unictl.views.spans import Line, Span

_LONGEST = 400
"""Characters of a source line that are looked at: a longer one is a minified file, not something to read."""


def text(problems: Iterable[Diagnostic], *, width: int = 80) -> tuple[Line, ...]:
    """Each problem with an empty line after it, by place; where there are several, a line that counts them last."""
    ordered = sorted(problems, key=_order)
    lines = [line for problem in ordered for line in (*_problem(problem, width), EMPTY)]
    if len(ordered) > 1:
        lines.append(one(_count(ordered), "bold"))
    return tuple(lines)


def json(problems: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """One document a problem: severity, code, summary, detail, hint, range, snippet, related."""
    return [_document(problem) for problem in sorted(problems, key=_order)]


def _order(problem: Diagnostic) -> tuple[object, ...]:
    place = problem.place
    where = (place.file, place.line, place.column) if place else ("", 0, 0)
    return (*where, problem.severity is Severity.WARNING, problem.code, problem.summary)


def _problem(problem: Diagnostic, width: int) -> Iterable[Line]:
    style = problem.severity.value
    if problem.place is not None:
        yield (Span(str(problem.place), "bold"),)
    head = wrap(f"{problem.severity.value}: {problem.summary}", width, 0)
    for number, line in enumerate(head):
        yield tuple(Span(s.text, style if number == 0 else "") for s in line)
    yield from _snippet(problem, width)
    if problem.detail:
        yield from wrap(problem.detail, width, 2)
    for place in problem.related:
        yield one(f"  see also {place}", "dim")
    if problem.hint:
        yield from wrap(f"-> {problem.hint}", width, 2)


def _snippet(problem: Diagnostic, width: int) -> Iterable[Line]:
    place = problem.place
    if place is None or not problem.source.strip() or place.column > _LONGEST:
        return
    gutter = f"  {place.line} | "
    room = max(20, width - len(gutter))
    start = max(0, place.column - 1 - room * 2 // 3)
    shown = clean(problem.source[start : start + room])
    end = place.end_column or place.column + 1
    before = clean(problem.source[start : place.column - 1])
    marked = clean(problem.source[place.column - 1 : min(end - 1, start + room)])
    yield (Span(gutter, "dim"), Span(shown))
    yield (
        Span(" " * (len(gutter) - 2) + "| ", "dim"),
        Span(" " * len(before)),
        Span("^" * max(1, len(marked)), "error"),
    )


def _count(problems: list[Diagnostic]) -> str:
    failing, files = len(errors(problems)), sorted({p.place.file for p in problems if p.place})
    told = len(problems) - failing
    parts = [f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((failing, "problem"), (told, "warning")) if n]
    where = f" in {files[0]}" if len(files) == 1 else f" in {len(files)} files" if files else ""
    return f"{' and '.join(parts)}{where}"


def _document(problem: Diagnostic) -> dict[str, Any]:
    document: dict[str, Any] = {
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
        document["related"] = [str(each) for each in problem.related]
    return document
