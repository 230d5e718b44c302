"""Collects the steps of a plan in order, and joins them through barriers so that edges stay few. Pure."""

from collections.abc import Iterable
from typing import Any

from unictl.plan.model import step_ids
from unictl.plan.model.payloads import StepData
from unictl.plan.model.step import Step, StepId, StepIds, StepKind


class StepBuilder:
    """The steps so far. An id is never given twice: what exists already is found, not made again."""

    def __init__(self) -> None:
        self._steps: dict[StepId, Step] = {}

    def add(self, step: Step) -> StepId:
        """One more step; its id. Asking for a step that is there already is the way to share it."""
        self._steps.setdefault(step.id, step)
        return step.id

    def add_barrier(self, step_id: StepId, needs: Iterable[StepId], service: str = "", wave: int = 0) -> StepIds:
        """What stands for all of ``needs``: themselves where there are few, else one step without action."""
        ids = tuple(dict.fromkeys(needs))
        if len(ids) <= 1:
            return ids
        while step_id in self._steps and self._steps[step_id].needs != ids:
            step_id = step_ids.next_id(step_id)
        return (
            self.add(Step(id=step_id, kind=StepKind.BARRIER, subject=step_id, service=service, wave=wave, needs=ids)),
        )

    def unused_id(self, preferred_id: StepId, qualifier: str) -> StepId:
        """``preferred_id`` where no step has this id, else one that ``qualifier`` tells apart."""
        return preferred_id if preferred_id not in self._steps else step_ids.second_id(preferred_id, qualifier)

    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which they were added."""
        return tuple(self._steps.values())


def make_step(
    id: StepId,  # noqa: A002 - it is one
    kind: StepKind,
    host: str,
    needs: Iterable[StepId],
    data: StepData | None,
    **attributes: Any,
) -> Step:
    """A step; what it needs is named once each."""
    return Step(id=id, kind=kind, host=host, data=data, needs=tuple(dict.fromkeys(needs)), **attributes)
