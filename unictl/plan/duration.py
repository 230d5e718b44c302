"""How long a plan may take, from what earlier applies of the fleet took. Pure; display only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from unictl.instances.live import Survey, World
from unictl.plan import graph
from unictl.plan.step import Kind, Step

_LAST = 3
"""So many applies are looked at: older ones may be of other machines."""
_SLOW = (Kind.STAGE, Kind.LAUNCH, Kind.PROVE, Kind.JOIN, Kind.LEAVE, Kind.RETIRE)
"""What takes time; the rest is a file written, and costs nothing where nobody has measured it."""

AT_ONCE = 10
"""Steps in flight at once, unless an apply is told otherwise; a proof only waits, and does not count."""


def estimate(ordered: Sequence[Step], world: World) -> float | None:
    """Seconds that ``ordered`` steps (``graph.order``) take at the cost each kind had: along the longest path, or what
    so few at once need for all of them, whichever is more.

    None where nothing takes time, or where the hosts remember no apply that had a kind of step which this one needs.
    """
    costs = _costs(world)
    kinds = {step.kind for step in ordered if not step.undo}
    if not costs or kinds.isdisjoint(_SLOW) or any(kind in _SLOW and kind.value not in costs for kind in kinds):
        return None
    path = graph.longest(ordered, lambda step: _cost(step, costs))
    return max(path, sum(_cost(step, costs) for step in ordered if step.kind is not Kind.PROVE) / AT_ONCE)


def _cost(step: Step, costs: Mapping[str, float]) -> float:
    return 0.0 if step.undo else costs.get(step.kind.value, 0.0)


def _costs(world: World) -> Mapping[str, float]:
    """Seconds by kind: the mean of the last applies' medians, each with the weight of its count."""
    told = (each for said in world.values() if isinstance(said, Survey) for each in said.applies)
    # Every host that an apply touched keeps the same entry.
    applies = {float(each["at"]): each["took"] for each in told}
    seconds: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, int] = defaultdict(int)
    for at in sorted(applies)[-_LAST:]:
        for kind, (median, count) in applies[at].items():
            seconds[kind] += median / 1000 * count
            counts[kind] += count
    return {kind: seconds[kind] / counts[kind] for kind in sorted(counts) if counts[kind]}
