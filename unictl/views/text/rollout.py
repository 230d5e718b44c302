"""The rollout of a plan in a few lines: lowest free memory, and the rollback of a failed wave. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from unictl.plan.model.plan import Plan
from unictl.views.text.fold import natural
from unictl.views.text.layout import clean, counted, one, some, wrap
from unictl.views.text.spans import Line
from unictl.views.text.units import amount

_MOST = 6
_TIGHT = 3
"""So many lines say what is free, the tightest first; hosts with at least half free are only counted."""
Wave = Mapping[str, Any]


def way_back(plan: Plan, width: int = 80, *, verbose: bool = False) -> tuple[Line, ...]:
    """What happens to each service of which a wave fails; ``verbose``: of every wave."""
    services = sorted({wave["service"] for wave in plan.waves}, key=natural)
    waves = {name: [wave for wave in plan.waves if wave["service"] == name] for name in services}
    told = [(name, sentence) for name, own in waves.items() if (sentence := _sentence(own))]
    if not told:
        return ()
    head = one("If a wave fails:", "bold")
    if verbose:
        lines = [wave["undo"]["line"] for name, _ in told for wave in waves[name]]
        return (head, *(line for text in lines for line in wrap(clean(text), width, 2)))
    label = min(24, max(len(name) for name, _ in told))
    rows = [f"{clean(name).ljust(label)}  {clean(text)}" for name, text in told[:_MOST]]
    more = [one(f"  and {len(told) - _MOST} more services (-verbose shows them)", "dim")] if len(told) > _MOST else []
    return (head, *(line for row in rows for line in wrap(row, width, 2)), *more)


def tightest(plan: Plan, width: int = 80, *, verbose: bool = False) -> tuple[Line, ...]:
    """What is free at the tightest moment of the rollout: hosts with as much together, the tightest first."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for host in sorted(plan.tightest, key=lambda host: (_share(plan.tightest[host]), natural(host))):
        groups[free(plan.tightest[host])].append(host)
    tight = [n < _TIGHT and _share(plan.tightest[hosts[0]]) < 0.5 for n, hosts in enumerate(groups.values())]
    shown = list(groups.items()) if verbose else list(groups.items())[: max(1, sum(tight))]
    lines = [f"{told} free on {some(list(map(clean, hosts)))}" for told, hosts in shown]
    rest = sum(map(len, groups.values())) - sum(len(hosts) for _, hosts in shown)
    lines += [f"more on {counted(rest, 'other host')}"] if rest else []
    if len(shown) <= 1:
        return wrap(f"Tightest moment: {'; '.join(lines)}", width) if lines else ()
    return (one("Tightest moment:", "bold"), *(row for line in lines for row in wrap(line, width, 2)))


def free(row: Mapping[str, int]) -> str:
    """``12 GiB of 23 GiB``: the memory free on a host at its tightest moment."""
    return f"{amount(max(0, row['memory']))} of {amount(row['of'])}"


def _share(row: Mapping[str, int]) -> float:
    return row["memory"] / max(1, row["of"])


def _sentence(waves: Sequence[Wave]) -> str:
    """``goes back to what runs now (generation 13954e66, commit d001e0d2)``, and what does not; empty for a service
    that only grows or stays what it is."""
    undos = [wave["undo"] for wave in waves]
    back = [row for undo in undos for row in undo["back"] if row["differs"]]
    stays = {name: why for undo in undos for name, why in undo["stays"].items()}
    parts = []
    if back and all(undo["revert"] for undo in undos):
        parts.append(f"goes back to what runs now ({_generations(back)})")
    elif back:
        parts.append("its new ones go; waves that are done stay (auto_revert is false)")
    if stays:
        name, why = min(stays.items(), key=lambda item: natural(item[0]))
        others = f" and {len(stays) - 1} more stay" if len(stays) > 1 else " stays"
        parts.append(f"{name}{others} new once done: {why}")
    if any(row["document"]["run"]["volumes"] for row in back):
        parts.append("the data in volumes is not turned back")
    return "; ".join(parts)


def _generations(rows: Sequence[Mapping[str, Any]]) -> str:
    """Which those are, and the commit where they are all of one; a ``+`` says that the files differed from it."""
    names = sorted((str(row["old"]) for row in rows), key=natural)
    generations = {name.rpartition(".")[2] for name in names}
    what = f"generation {generations.pop()}" if len(generations) == 1 else f"{names[0]} and {len(names) - 1} more"
    commits = {str(row["document"].get("commit") or "") for row in rows}
    commit = commits.pop() if len(commits) == 1 else ""
    return f"{what}, commit {commit[:8]}{'+' if commit.endswith('+') else ''}" if commit else what
