"""A plan as a comment. Pure. Under 65,000 characters, cut in the middle; what is destroyed is never cut.

Everything that comes from files stands in a fence longer than any run of backticks in it, so that no text of a fleet
file can become markup.
"""

import re
from collections.abc import Iterable

from unictl.plan.change import Action
from unictl.plan.plan import Plan
from unictl.views import text
from unictl.views.fold import rows
from unictl.views.layout import clean, counted, plain

LIMIT = 65_000
"""Characters; forges refuse comments of more than 65,535."""
_WIDTH = 100
_SIGNS = {"-": "-", "-/+": "!", "+/-": "!", "+": "+", "~": "!", "?": "#", "=": "#"}


def plan(plan: Plan, *, title: str = "", limit: int = LIMIT) -> str:
    """The comment: summary, what is destroyed, then everything in a fold."""
    body = [_marked(plain(line)) for line in text.plan(plan, _WIDTH)[:-1]]
    destroys = _destroys(plan)
    head = _head(plan, title, destroys, limit)
    room = limit - len(head) - 200
    if not plan.changes or not body:
        return head
    inner = _cut(body, room)
    fence = _fence(inner)
    return f"{head}\n<details><summary>The plan</summary>\n\n{fence}diff\n{inner}\n{fence}\n\n</details>\n"


def _head(plan: Plan, title: str, destroys: list[str], limit: int) -> str:
    """Title, summary and every destroy; where that is too much their names alone, at last as ranges."""
    lines = [f"## {_inline(title or f'Plan for {plan.mark}')}", "", f"**{text.summary(plan)}**", ""]
    lines += [f"**Refused: {counted(len(plan.refusals), 'reason')}.**", ""] if plan.refusals else []
    if not destroys:
        return "\n".join(lines)
    lines += [f"### Destroys {len(destroys)}", ""]
    names = [row.split()[1] for row in destroys]
    ways = (_fenced(destroys), _fenced([" ".join(names)]), _fenced([" ".join(_ranges(names))]))
    whole = next((way for way in ways if len(way) <= limit - 2000), ways[-1])
    return "\n".join([*lines, whole, ""])


def _destroys(plan: Plan) -> list[str]:
    found = [row for row in rows(plan.changes) if row.first.action is Action.DESTROY]
    return [f"- {row.label}  {row.amount}  {clean(row.first.reason)}" for row in found]


def _ranges(names: list[str]) -> list[str]:
    """``cache-0 cache-1 cache-2 db-7`` -> ``cache-0..2 db-7``: shorter, and still every one of them."""
    runs: list[tuple[str, int, int]] = []
    for name in names:
        stem, dash, number = name.rpartition("-")
        ordinal = int(number) if dash and number.isdecimal() else -1
        if runs and ordinal > 0 and runs[-1][0] == stem and runs[-1][2] == ordinal - 1:
            runs[-1] = (stem, runs[-1][1], ordinal)
        else:
            runs.append((stem, ordinal, ordinal) if ordinal >= 0 else (name, -1, -1))
    return [stem if end < 0 else f"{stem}-{first}{f'..{end}' if end > first else ''}" for stem, first, end in runs]


def _fenced(lines: Iterable[str]) -> str:
    inner = "\n".join(lines)
    fence = _fence(inner)
    return f"{fence}diff\n{inner}\n{fence}"


def _fence(inner: str) -> str:
    return "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", inner)), default=0))


def _inline(words: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|!@])", r"\\\1", clean(words))


def _marked(line: str) -> str:
    """A row with the sign a forge colours by in front."""
    symbol = line.split(" ", 1)[0] if line and line[0] != " " else line.strip().split(" ", 1)[0]
    row = len(line) > 4 and line[:3].strip() == symbol and symbol in _SIGNS
    return f"{_SIGNS[symbol]} {line}" if row else f"  {line}".rstrip()


def _cut(lines: list[str], room: int) -> str:
    """The lines, or as many of the first and the last as fit, and how many were left out between them."""
    whole = "\n".join(lines)
    if len(whole) <= room:
        return whole
    half = (room - 80) // 2
    head, tail = _fitting(lines, half), _fitting(lines[::-1], half)[::-1]
    left = len(lines) - len(head) - len(tail)
    return "\n".join([*head, f"# ... {counted(left, 'line')} left out ...", *tail])


def _fitting(lines: list[str], room: int) -> list[str]:
    taken: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken.append(line)
    return taken
