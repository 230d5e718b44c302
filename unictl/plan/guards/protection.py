"""Refuses to destroy or move protected instances. Pure."""

from collections.abc import Iterator, Sequence

from unictl.diagnostics.finding import Finding
from unictl.plan.context.context import PlanContext
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import Reason


def protected_instances(draft: PlanDraft) -> Iterator[Finding]:
    """Marks on live instances that bar what is asked for."""
    yield from find_protected(draft.context, draft.changes)


def find_protected(context: PlanContext, changes: Sequence[Change]) -> Iterator[Finding]:
    """The same for changes that no plan was made of."""
    for change in changes:
        if change.action is Action.HELD and change.reason is Reason.PROTECTED:
            service_path = ("services", change.service, "protect")
            yield Finding(
                path=service_path if change.service in context.fleet.services else ("services",),
                code="protected",
                summary=f"{change.subject} on {change.host} is protected: {change.detail}",
                hint=f"put {change.service} back without `protect`, apply that, and then take it away"
                if change.service not in context.fleet.services or context.options.destroy
                else f"take `protect` off {change.service} and apply that first",
            )
