"""Collects the steps of a plan in order, and joins them through barriers so that edges stay few. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from unictl.plan.model.step import Kind, Step

Ids = tuple[str, ...]


class Draft:
    """The steps so far. An id is never given twice: what exists already is found, not made again."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}

    def add(self, step: Step) -> str:
        """One more step; its id. Asking for a step that is there already is the way to share it."""
        self._steps.setdefault(step.id, step)
        return step.id

    def barrier(self, name: str, needs: Iterable[str], service: str = "", wave: int = 0) -> Ids:
        """What stands for all of ``needs``: themselves where there are few, else one step without action."""
        ids = tuple(dict.fromkeys(needs))
        if len(ids) <= 1:
            return ids
        while name in self._steps and self._steps[name].needs != ids:
            name = f"{name}+"
        return (self.add(Step(id=name, kind=Kind.BARRIER, subject=name, service=service, wave=wave, needs=ids)),)

    def free(self, wanted: str, host: str) -> str:
        """``wanted`` where no step has this id, else with the host: the same generation may lie on two."""
        return wanted if wanted not in self._steps else f"{wanted}@{host}"

    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which they were added."""
        return tuple(self._steps.values())


def step(
    id: str,  # noqa: A002 - it is one
    kind: Kind,
    host: str,
    needs: Iterable[str],
    data: Mapping[str, Any],
    **names: Any,
) -> Step:
    """A step; what it needs is named once each."""
    return Step(id=id, kind=kind, host=host, data=data, needs=tuple(dict.fromkeys(needs)), **names)
