"""Refuses a plan whose steps wait for each other: such a rollout would never end. Pure."""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.model.step import Step
from unictl.plan.rollout import graph


def step_cycle(draft: PlanDraft) -> Iterator[Finding]:
    """The first cycle among the steps, if ``topological_order`` had to leave any of them out."""
    if len(draft.ordered_steps) == len(draft.steps):
        return
    cycle = graph.find_cycle(draft.steps)
    service = cycle[0].service
    ids = [step.id for step in cycle]
    yield Finding(
        path=("services", service) if service else ("services",),
        code="step-cycle",
        summary=f"dependency cycle between steps: {' -> '.join((*ids, ids[0]))}",
        detail="\n".join(map(_describe, cycle)),
        hint="this is a bug in unictl: report it",
    )


def _describe(step: Step) -> str:
    """``launch:api-0.7f3c9a1b: launch api-0.7f3c9a1b on hv1``; a barrier has neither subject nor host of its own."""
    text = f"{step.id}: {step.kind.value}"
    if step.subject and step.subject != step.id:
        text += f" {step.subject}"
    if step.host:
        text += f" on {step.host}"
    return text
