"""Estimates how long a plan takes, from the durations of earlier applies of the fleet. Pure; for display only.

Kinds of steps without a history count only what the fleet file declares: how long a health check has to pass.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unictl.instances.observed.host_state import Survey, World
from unictl.plan.model.step import Kind, Step
from unictl.plan.rollout import graph

_LAST = 3
"""So many applies are looked at: older ones may be of other machines."""
_SLOW = (Kind.STAGE, Kind.LAUNCH, Kind.PROVE, Kind.JOIN, Kind.LEAVE, Kind.RETIRE)
"""What takes time; the rest is a file written, and costs nothing where nobody has measured it."""

AT_ONCE = 10
"""Steps in flight at once, unless an apply is told otherwise; a proof only waits, and does not count."""


_ENOUGH = 8 << 20
"""Bytes of images from which on earlier applies tell how fast they travel; fewer only tell what a message costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds; ``least`` where it takes longer, since some kind of step was never done: nobody knows how much.

    ``blank``: nothing was ever done, so that it is only what the fleet file says.
    """

    seconds: float
    least: bool = False
    blank: bool = False


def estimate(ordered: Sequence[Step], world: World) -> Estimate | None:
    """What ``ordered`` steps (``graph.order``) take at the cost each kind had: along the longest path, or what so few
    at once need for all of them, whichever is more. None where nothing takes time, or nothing is known of it."""
    applies = tuple(_applies(world))
    costs = _Costs(kinds=_kinds(applies), pace=_pace(applies))
    kinds = {step.kind for step in ordered if not step.undo}
    if kinds.isdisjoint(_SLOW):
        return None
    path = graph.longest(ordered, costs.of)
    seconds = max(path, sum(costs.of(step) for step in ordered if step.kind is not Kind.PROVE) / AT_ONCE)
    least = any(kind in _SLOW and kind.value not in costs.kinds for kind in kinds)
    return None if least and seconds < 1 else Estimate(seconds=seconds, least=least, blank=not costs.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Costs:
    """Seconds by kind of step, and by byte of an image (0: not known)."""

    kinds: Mapping[str, float]
    pace: float

    def of(self, step: Step) -> float:
        """What a step takes, as far as that is known; a check passes no sooner than it has to pass for."""
        if step.undo:
            return 0.0
        usual = self.kinds.get(step.kind.value, 0.0)
        if step.kind is Kind.PROVE and not step.data.get("job"):
            return max(usual, float(step.data["min_healthy_time"]) / 1000)
        if step.kind is Kind.STAGE and self.pace:
            return float(step.data["size"] * self.pace)
        return usual


def _applies(world: World) -> Iterator[Mapping[str, Any]]:
    told = (each for said in world.values() if isinstance(said, Survey) for each in said.applies)
    # Every host that an apply touched keeps the same entry.
    applies = {float(each["at"]): each for each in told}
    return (applies[at] for at in sorted(applies)[-_LAST:])


def _kinds(applies: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
    """The mean of the last applies' medians, each with the weight of its count."""
    seconds: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, int] = defaultdict(int)
    for each in applies:
        for kind, (median, count) in each["took"].items():
            seconds[kind] += median / 1000 * count
            counts[kind] += count
    return {kind: seconds[kind] / counts[kind] for kind in sorted(counts) if counts[kind]}


def _pace(applies: Sequence[Mapping[str, Any]]) -> float:
    """Seconds that a byte of an image took."""
    staged = [each.get("staged") or (0, 0) for each in applies]
    size = sum(bytes_ for bytes_, _ in staged)
    return sum(took for _, took in staged) / 1000 / size if size >= _ENOUGH else 0.0
