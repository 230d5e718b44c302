"""Refuses rollouts that can never stop the first instance, and create-first where it is impossible. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Order
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.model.change import Action
from unictl.plan.reconcile.reconcile import InstanceChange
from unictl.plan.rollout.waves import max_unavailable, starts


def availability_floor(draft: PlanDraft) -> Iterator[Finding]:
    """Rollouts that could never take the first one down, and create-first where it cannot be."""
    context, instance_changes = draft.context, draft.instance_changes
    by_service: defaultdict[str, list[InstanceChange]] = defaultdict(list)
    for instance_change in instance_changes:
        by_service[instance_change.service].append(instance_change)
    for name, service_changes in sorted(by_service.items()):
        service = context.fleet.services.get(name)
        stop_first_items = [item for item in starts(service_changes) if item.causes_downtime] if service else []
        if service is None or not stop_first_items:
            continue
        unreachable_count = sum(instance_change.change.action is Action.UNKNOWN for instance_change in service_changes)
        if max_unavailable(service, unreachable_count) <= 0:
            unreachable_text = (
                f", with {unreachable_count} of them on hosts that do not answer" if unreachable_count else ""
            )
            yield Finding(
                path=("services", name, "update", "min_available"),
                code="dead-lock",
                summary=f"{name} is replaced stop-first, "
                f"and none of its {service.replicas} may be down{unreachable_text}",
                hint=f"lower `min_available` of {name}, or give it another replica",
            )
        if service.update.order is Order.CREATE_FIRST:
            yield Finding(
                path=("services", name, "update", "order"),
                code="cannot-create-first",
                summary=f"{name} cannot be replaced create-first: its volume has one user at a time",
                hint="leave `order` out: the plan then stops the old one first",
            )
