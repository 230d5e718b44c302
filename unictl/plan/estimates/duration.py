"""Estimates how long a plan takes, from the durations of earlier applies of the fleet. Pure; for display only.

Kinds of steps without a history count only what the fleet file declares: how long a health check has to pass.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from unictl.instances.observed.host_state import LiveState, Survey
from unictl.instances.observed.survey_facts import ApplyDurations
from unictl.plan.model.payloads import GateData, StageData
from unictl.plan.model.step import Step
from unictl.plan.rollout import graph

_APPLIES_CONSIDERED = 3
"""So many applies are looked at: older ones may be of other machines."""

MAX_STEPS_IN_FLIGHT = 10
"""Steps in flight at once, unless an apply is told otherwise; a proof only waits, and does not count."""


_MIN_STAGED_BYTES = 8 << 20
"""Bytes of images from which on earlier applies tell how fast they travel; fewer only tell what a message costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds; ``is_lower_bound`` where it takes longer, since some kind of step was never done: nobody knows how much.

    ``is_unmeasured``: nothing was ever done, so that it is only what the fleet file says.
    """

    seconds: float
    is_lower_bound: bool = False
    is_unmeasured: bool = False


def estimate_duration(ordered_steps: Sequence[Step], live_state: LiveState) -> Estimate | None:
    """What ``ordered_steps`` steps (``graph.topological_order``) take at the cost each kind had.

    Along the longest path, or what so few at once need for all of them, whichever is more. None where nothing takes
    time, or nothing is known of it.
    """
    applies = tuple(_last_applies(live_state))
    costs = _StepCosts(seconds_by_kind=_seconds_by_kind(applies), seconds_per_byte=_seconds_per_byte(applies))
    slow_kinds = {step.kind.value for step in ordered_steps if step.traits.is_slow and not step.undo}
    if not slow_kinds:
        return None
    path_seconds = 0.0
    for step in graph.critical_path(ordered_steps, costs.cost_of):
        path_seconds += costs.cost_of(step)
    seconds = max(
        path_seconds,
        sum(costs.cost_of(step) for step in ordered_steps if not step.traits.only_waits) / MAX_STEPS_IN_FLIGHT,
    )
    is_lower_bound = not slow_kinds <= costs.seconds_by_kind.keys()
    return (
        None
        if is_lower_bound and seconds < 1
        else Estimate(seconds=seconds, is_lower_bound=is_lower_bound, is_unmeasured=not costs.seconds_by_kind)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _StepCosts:
    """Seconds by kind of step, and by byte of an image (0: not known)."""

    seconds_by_kind: Mapping[str, float]
    seconds_per_byte: float

    def cost_of(self, step: Step) -> float:
        """What a step takes, as far as that is known; a check passes no sooner than it has to pass for."""
        if step.undo:
            return 0.0
        usual = self.seconds_by_kind.get(step.kind.value, 0.0)
        if isinstance(step.data, GateData) and not step.data.job:
            return max(usual, step.data.min_healthy_time / 1000)
        if isinstance(step.data, StageData) and self.seconds_per_byte:
            return step.data.size * self.seconds_per_byte
        return usual


def _last_applies(live_state: LiveState) -> Iterator[ApplyDurations]:
    recorded = (entry for survey in live_state.values() if isinstance(survey, Survey) for entry in survey.applies)
    # Every host that an apply touched keeps the same entry.
    by_time = {entry.at: entry for entry in recorded}
    return (by_time[timestamp] for timestamp in sorted(by_time)[-_APPLIES_CONSIDERED:])


def _seconds_by_kind(applies: Sequence[ApplyDurations]) -> Mapping[str, float]:
    """The mean of the last applies' medians, each with the weight of its count."""
    seconds: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, int] = defaultdict(int)
    for entry in applies:
        for kind, (median, count) in entry.took.items():
            seconds[kind] += median / 1000 * count
            counts[kind] += count
    return {kind: seconds[kind] / counts[kind] for kind in sorted(counts) if counts[kind]}


def _seconds_per_byte(applies: Sequence[ApplyDurations]) -> float:
    """Seconds that a byte of an image took."""
    staged = [entry.staged for entry in applies]
    size = sum(byte_count for byte_count, _ in staged)
    return sum(milliseconds for _, milliseconds in staged) / 1000 / size if size >= _MIN_STAGED_BYTES else 0.0
