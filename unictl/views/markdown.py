"""A plan as a Markdown comment. Pure. Under 65,000 characters, cut in the middle; destructive changes are never
cut or folded.

Everything that comes from files is in a fence longer than any run of backticks in it, so that no text of a fleet
file
can become markup. The first line is hidden: a pipeline finds its comment again by the fleet's mark.
"""

import re
from collections.abc import Sequence

from unictl.plan.file import approval, planfile
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.views.text import plan_text, problems, rollout
from unictl.views.text.fold import rows
from unictl.views.text.layout import clean, counted, elide, plain
from unictl.views.text.spans import Line

LIMIT = 65_000
"""Characters; forges refuse comments of more than 65,535."""
_WIDTH = 100
_OPEN = 40
"""A plan of so many lines is shown unfolded."""
_TOLD, _SPARE = 12_000, 2_000
_ORDINAL = re.compile("0|[1-9][0-9]{0,8}")
_SIGNS = {"-": "-", "-/+": "!", "+/-": "!", "+": "+", "~": "!", "?": "#", "=": "#"}


def plan(plan: Plan, *, title: str = "", limit: int = LIMIT) -> str:
    """The comment: summary, what speaks against it, what is destroyed, then the rest, folded if long."""
    head = _head(plan, title)
    head += _destroys(plan, limit - len(head) - _SPARE)
    lines = _body(plan)
    if not lines:
        return head
    inner = _cut(lines, limit - len(head) - 200)
    opened = " open" if len(lines) <= _OPEN else ""
    return f"{head}<details{opened}><summary>{_folded(plan)}</summary>\n\n{_fenced(inner, 'diff')}\n\n</details>\n"


def header(plan: Plan) -> str:
    """The hidden line: which fleet the comment is about, which plan it shows, and what approving it approves."""
    mark = re.sub(r"[^A-Za-z0-9@._-]", "", plan.mark)[:160]
    return f"<!-- unictl mark={mark} plan={planfile.plan_hash(plan)} approval={approval.approval_hash(plan)} -->"


def _head(plan: Plan, title: str) -> str:
    commit = clean(plan.revision.commit)[:12]
    named = elide(title or f"Plan for {plan.mark}{f' at {commit}' if commit else ''}", 200)
    parts = [header(plan), f"## {_inline(named)}", f"**{plan_text.summary(plan)}**", *plan_text.lasting(plan)]
    if plan.refusals:
        told = [plain(line) for line in problems.text(plan.refusals, width=_WIDTH, counting=False)]
        parts += [f"**Refused, for {counted(len(plan.refusals), 'reason')}**", _fenced(_cut(told, _TOLD))]
    if notes := [plain(line) for line in (*plan_text.notes(plan, _WIDTH), *plan_text.relocked(plan, _WIDTH))]:
        parts.append(_fenced(_cut(notes, _TOLD)))
    return "\n\n".join(parts) + "\n\n"


def _destroys(plan: Plan, room: int) -> str:
    """Every destroy: with its reason; where that is too much their names alone, then ranges of names.

    Where even those do not fit, as many as do, and how many are not there: it is said at the top.
    """
    found = [row for row in rows(plan.changes) if row.first.action is Action.DESTROY]
    if not found:
        return ""
    names = [row.label for row in found]
    shown = (plain(line) for line in plan_text.rows_of(plan, found, _WIDTH))
    whole = [f"{'-' if line[:3].strip() else ' '} {line[4:]}" for line in shown]
    for lines in (whole, [f"- {name}" for name in names], [f"- {name}" for name in _ranges(names)]):
        told = "\n".join(lines)
        if len(told) <= room - 200:
            return f"### Destroys {len(found)}\n\n{_fenced(told, 'diff')}\n\n"
    head = f"### Destroys {len(found)}, more than a comment can name\n\n**Read all of them in the plan itself.**\n\n"
    return f"{head}{_fenced(_cut(_ranges(names), room - 400))}\n\n"


def _body(plan: Plan) -> list[str]:
    """Everything that is not said above it: legend, rows, what listens where, warnings."""
    found = rows(each for each in plan.changes if each.action is not Action.DESTROY)
    if not found and not plan.warnings:
        return []
    blocks = (
        [_unmarked(line) for line in plan_text.legend(found, _WIDTH)] if found else [],
        [_marked(line) for line in plan_text.rows_of(plan, found, _WIDTH)],
        [_unmarked(line) for line in plan_text.endpoints(plan.endpoints)] if plan.has_changes else [],
        [_unmarked(line) for line in rollout.tightest(plan, _WIDTH)],
        [_unmarked(line) for line in problems.text(plan.warnings, width=_WIDTH, counting=False)]
        if plan.warnings
        else [],
    )
    return "\n\n".join("\n".join(block) for block in blocks if block).split("\n")


def _folded(plan: Plan) -> str:
    """What is in the fold, counted."""
    numbers = plan.counts
    words = (("replace", numbers.replace), ("create", numbers.add), ("adjust", numbers.adjust))
    told = [f"{number} to {word}" for word, number in words if number]
    return ", ".join(told) or "Everything else"


def _ranges(names: list[str]) -> list[str]:
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


def _fenced(inner: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`+", inner)), default=0)
    fence = "`" * max(3, 1 + longest)
    return f"{fence}{language}\n{inner}\n{fence}"


def _inline(words: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|!@])", r"\\\1", clean(words))


def _marked(line: Line) -> str:
    """A row with the sign a forge colours by in front; its own symbol stays where it says more."""
    told = plain(line)
    symbol = told[:3].strip()
    if symbol not in _SIGNS or told[3:4] != " ":
        return _unmarked(line)
    sign = _SIGNS[symbol]
    return f"{sign} {'   ' if sign == symbol else told[:3]}{told[3:]}"


def _unmarked(line: Line) -> str:
    return f"  {plain(line)}".rstrip()


def _cut(lines: Sequence[str], room: int) -> str:
    """The lines, or as many of the first and the last as fit, and how many were left out between them."""
    lines = [elide(line, _LONGEST) for line in lines]
    whole = "\n".join(lines)
    if len(whole) <= room:
        return whole
    half = (room - 80) // 2
    head, tail = _fitting(lines, half), _fitting(lines[::-1], half)[::-1]
    left = len(lines) - len(head) - len(tail)
    return "\n".join([*head, f"# ... {counted(left, 'line')} left out ...", *tail])


_LONGEST = 1_000
"""Characters of a line: one that is longer is no text that somebody reads, and must not take the room of all others."""


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    taken: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken.append(line)
    return taken
