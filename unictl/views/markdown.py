"""A plan as a Markdown comment. Pure. Under 65,000 characters, cut in the middle; destructive changes are never cut
or folded.

Everything that comes from files is in a fence longer than any run of backticks in it, so that no text of a fleet
file can become markup. The first line is hidden: a pipeline finds its comment again by the fleet's mark.
"""

import re
from collections.abc import Sequence

from unictl.plan.file import approval, planfile
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.views.text import plan_text, problems, rollout
from unictl.views.text.fold import fold_rows
from unictl.views.text.layout import count_of, elide, plain_text, sanitize
from unictl.views.text.spans import Line

MAX_LENGTH = 65_000
"""Characters; forges refuse comments of more than 65,535."""
_WIDTH = 100
_MAX_UNFOLDED = 40
"""A plan of so many lines is shown unfolded."""
_MAX_PROBLEM_LENGTH, _RESERVED_LENGTH = 12_000, 2_000
_ORDINAL = re.compile("0|[1-9][0-9]{0,8}")
_SIGNS = {"-": "-", "-/+": "!", "+/-": "!", "+": "+", "~": "!", "?": "#", "=": "#"}


def render(plan: Plan, *, title: str = "", limit: int = MAX_LENGTH) -> str:
    """The comment: summary, what speaks against it, what is destroyed, then the rest, folded if long."""
    preamble = _head_text(plan, title)
    preamble += _destroy_section(plan, limit - len(preamble) - _RESERVED_LENGTH)
    lines = _body_lines(plan)
    if not lines:
        return preamble
    inner = _cut_middle(lines, limit - len(preamble) - 200)
    opened = " open" if len(lines) <= _MAX_UNFOLDED else ""
    summary, listing = _fold_summary(plan), _fence(inner, "diff")
    return f"{preamble}<details{opened}><summary>{summary}</summary>\n\n{listing}\n\n</details>\n"


def marker_comment(plan: Plan) -> str:
    """The hidden line: which fleet the comment is about, which plan it shows, and what approving it approves."""
    mark = re.sub(r"[^A-Za-z0-9@._-]", "", plan.mark)[:160]
    return f"<!-- unictl mark={mark} plan={planfile.plan_hash(plan)} approval={approval.approval_hash(plan)} -->"


def _head_text(plan: Plan, title: str) -> str:
    commit = sanitize(plan.revision.commit)[:12]
    heading = elide(title or f"Plan for {plan.mark}{f' at {commit}' if commit else ''}", 200)
    parts = [
        marker_comment(plan),
        f"## {_escape_inline(heading)}",
        f"**{plan_text.summary(plan)}**",
        *plan_text.duration_sentences(plan),
    ]
    if plan.refusals:
        refusal_lines = [plain_text(line) for line in problems.render(plan.refusals, width=_WIDTH, counting=False)]
        parts += [
            f"**Refused, for {count_of(len(plan.refusals), 'reason')}**",
            _fence(_cut_middle(refusal_lines, _MAX_PROBLEM_LENGTH)),
        ]
    if notes := [
        plain_text(line) for line in (*plan_text.note_lines(plan, _WIDTH), *plan_text.lock_change_lines(plan, _WIDTH))
    ]:
        parts.append(_fence(_cut_middle(notes, _MAX_PROBLEM_LENGTH)))
    return "\n\n".join(parts) + "\n\n"


def _destroy_section(plan: Plan, room: int) -> str:
    """Every destroy: with its reason; where that is too much their names alone, then ranges of names.

    Where even those do not fit, as many as do, and how many are not there: it is said at the top.
    """
    destroy_rows = [folded_row for folded_row in fold_rows(plan.changes) if folded_row.first.action is Action.DESTROY]
    if not destroy_rows:
        return ""
    names = [folded_row.label for folded_row in destroy_rows]
    shown = (plain_text(line) for line in plan_text.row_lines(plan, destroy_rows, _WIDTH))
    full_lines = [f"{'-' if line[:3].strip() else ' '} {line[4:]}" for line in shown]
    for lines in (full_lines, [f"- {name}" for name in names], [f"- {name}" for name in _name_ranges(names)]):
        listing = "\n".join(lines)
        if len(listing) <= room - 200:
            return f"### Destroys {len(destroy_rows)}\n\n{_fence(listing, 'diff')}\n\n"
    heading = (
        f"### Destroys {len(destroy_rows)}, more than a comment can name\n\n"
        "**Read all of them in the plan itself.**\n\n"
    )
    return f"{heading}{_fence(_cut_middle(_name_ranges(names), room - 400))}\n\n"


def _body_lines(plan: Plan) -> list[str]:
    """Everything that is not said above it: legend, rows, what listens where, warnings."""
    folded = fold_rows(change for change in plan.changes if change.action is not Action.DESTROY)
    if not folded and not plan.warnings:
        return []
    blocks = (
        [_unsigned_line(line) for line in plan_text.legend_lines(folded, _WIDTH)] if folded else [],
        [_signed_line(line) for line in plan_text.row_lines(plan, folded, _WIDTH)],
        [_unsigned_line(line) for line in plan_text.endpoint_lines(plan.endpoints)] if plan.has_changes else [],
        [_unsigned_line(line) for line in rollout.headroom_lines(plan, _WIDTH)],
        [_unsigned_line(line) for line in problems.render(plan.warnings, width=_WIDTH, counting=False)]
        if plan.warnings
        else [],
    )
    return "\n\n".join("\n".join(block) for block in blocks if block).split("\n")


def _fold_summary(plan: Plan) -> str:
    """What is in the fold, counted."""
    numbers = plan.counts
    words = (("replace", numbers.replace), ("create", numbers.add), ("adjust", numbers.adjust))
    count_texts = [f"{number} to {word}" for word, number in words if number]
    return ", ".join(count_texts) or "Everything else"


def _name_ranges(names: list[str]) -> list[str]:
    """``cache-0 cache-1 cache-2 db-7`` -> ``cache-0..2 db-7``: shorter, and still every one of them."""
    runs: list[tuple[str, int, int]] = []
    for name in names:
        stem, dash, number = name.rpartition("-")
        ordinal = int(number) if dash and _ORDINAL.fullmatch(number) else -1
        if runs and ordinal > 0 and runs[-1][0] == stem and runs[-1][2] == ordinal - 1:
            runs[-1] = (stem, runs[-1][1], ordinal)
        else:
            runs.append((stem, ordinal, ordinal) if ordinal >= 0 else (name, -1, -1))
    return [stem if end < 0 else f"{stem}-{first}{f'..{end}' if end > first else ''}" for stem, first, end in runs]


def _fence(inner: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`+", inner)), default=0)
    fence = "`" * max(3, 1 + longest)
    return f"{fence}{language}\n{inner}\n{fence}"


def _escape_inline(words: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|!@])", r"\\\1", sanitize(words))


def _signed_line(line: Line) -> str:
    """A row with the sign a forge colours by in front; its own symbol stays where it says more."""
    row_text = plain_text(line)
    symbol = row_text[:3].strip()
    if symbol not in _SIGNS or row_text[3:4] != " ":
        return _unsigned_line(line)
    sign = _SIGNS[symbol]
    return f"{sign} {'   ' if sign == symbol else row_text[:3]}{row_text[3:]}"


def _unsigned_line(line: Line) -> str:
    return f"  {plain_text(line)}".rstrip()


def _cut_middle(lines: Sequence[str], room: int) -> str:
    """The lines, or as many of the first and the last as fit, and how many were left out between them."""
    lines = [elide(line, _MAX_LINE_LENGTH) for line in lines]
    full_text = "\n".join(lines)
    if len(full_text) <= room:
        return full_text
    half_room = (room - 80) // 2
    first_lines, last_lines = _fitting_lines(lines, half_room), _fitting_lines(lines[::-1], half_room)[::-1]
    omitted_count = len(lines) - len(first_lines) - len(last_lines)
    return "\n".join([*first_lines, f"# ... {count_of(omitted_count, 'line')} left out ...", *last_lines])


_MAX_LINE_LENGTH = 1_000
"""Characters of a line: one that is longer is no text that somebody reads, and must not take the room of all others."""


def _fitting_lines(lines: Sequence[str], room: int) -> list[str]:
    taken: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken.append(line)
    return taken
