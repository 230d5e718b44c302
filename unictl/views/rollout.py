"""How a plan is carried out, in a few lines: what it goes back to where it fails. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unictl.plan.plan import Plan
from unictl.views.fold import natural
from unictl.views.layout import clean, one, wrap
from unictl.views.spans import Line

_MOST = 6
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


def _sentence(waves: Sequence[Wave]) -> str:
    """``goes back to 13954e66``, and what does not; empty for a service that only grows or stays what it is."""
    undos = [wave["undo"] for wave in waves]
    back = [row for undo in undos for row in undo["back"] if row["differs"]]
    stays = {name: why for undo in undos for name, why in undo["stays"].items()}
    parts = []
    if back and all(undo["revert"] for undo in undos):
        parts.append(f"goes back to {_prints(back)}")
    elif back:
        parts.append("its new ones go; waves that are done stay (auto_revert is false)")
    if stays:
        name, why = min(stays.items(), key=lambda item: natural(item[0]))
        others = f" and {len(stays) - 1} more stay" if len(stays) > 1 else " stays"
        parts.append(f"{name}{others} new once done: {why}")
    if any(row["document"]["run"]["volumes"] for row in back):
        parts.append("the data in volumes is not turned back")
    return "; ".join(parts)


def _prints(rows: Iterable[Mapping[str, Any]]) -> str:
    found = sorted({row["document"]["fingerprint"].partition(":")[2][:8] for row in rows})
    return found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"
