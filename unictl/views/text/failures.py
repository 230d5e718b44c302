"""A failure as lines: its problems with their places, one sentence, and the next step. Pure."""

from unictl.diagnostics.failure import Failure
from unictl.views.text.layout import EMPTY, sanitize, styled_line, wrap
from unictl.views.text.spans import Line, Span


def render(failure: Failure, width: int = 80) -> tuple[Line, ...]:
    """The sentence comes last but for the hint: it is what is seen first on a screen full of problems."""
    lines: list[Line] = []
    if failure.problems:
        from unictl.views.text import problems

        lines += [*problems.render(failure.problems, width=width, counting=False), EMPTY]
    lines.append((Span("Error: ", "error"), Span(_with_full_stop(failure.summary))))
    for part in failure.detail.splitlines():
        lines += wrap(part, width, 2)
    if failure.hint:
        lines.append(styled_line(f"Next: {sanitize(failure.hint)}"))
    return tuple(lines)


def _with_full_stop(sentence: str) -> str:
    """With its full stop, unless it ends already."""
    text = sanitize(sentence).rstrip()
    return text if text.endswith((".", "?", "!")) else f"{text}."
