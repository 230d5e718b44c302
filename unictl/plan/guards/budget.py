"""Limits of one plan: the destroy budget, the bound on changes, and the requirements of the policy. Pure.

A plan must satisfy both the policy last applied and the new one.
"""

from collections.abc import Iterator, Sequence

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Policy
from unictl.fleet.names import join_names
from unictl.fleet.quantities import Share
from unictl.plan.context.context import PlanContext
from unictl.plan.context.last_applied import effective_policies
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import COMPLETES_REPLACEMENT
from unictl.plan.model.revision import Revision

_CHANGING_ACTIONS = frozenset((Action.CREATE, Action.REPLACE, Action.MOVE, Action.DESTROY))


def policy_findings(draft: PlanDraft) -> Iterator[Finding]:
    """Everything that policy has against a plan."""
    yield from find_violations(draft.context, draft.changes, draft.revision, whole=draft.scope.is_whole)


def find_violations(
    context: PlanContext, changes: Sequence[Change], revision: Revision, *, whole: bool
) -> Iterator[Finding]:
    """Everything that policy has against these changes."""
    policies = effective_policies(context)
    if not (context.options.destroy and whole):
        yield from _too_many_destroys(context, changes, policies)
    yield from _too_many_changes(context, changes, policies)
    yield from _unmet_requirements(context, policies, revision)


def destroyed_instances(changes: Sequence[Change]) -> tuple[str, ...]:
    """The instances that a plan takes away for good; the end of a replacement is no loss."""
    return tuple(
        change.subject
        for change in changes
        if change.action is Action.DESTROY and change.old and change.reason not in COMPLETES_REPLACEMENT
    )


def _too_many_destroys(
    context: PlanContext, changes: Sequence[Change], policies: Sequence[Policy]
) -> Iterator[Finding]:
    destroyed = destroyed_instances(changes)
    allowed = min(destroy_budget(policy.max_destroy, len(context.live_by_name)) for policy in policies)
    if len(destroyed) <= max(allowed, context.options.allow_destroy or 0):
        return
    ruling_policy = min(
        policies, key=lambda candidate: destroy_budget(candidate.max_destroy, len(context.live_by_name))
    )
    limit_text = f"{ruling_policy.max_destroy} per plan{_remembered_policy_note(ruling_policy is not policies[0])}"
    yield Finding(
        path=("policy", "max_destroy"),
        fallback_path=next(
            (change.origin for change in changes if change.subject in destroyed and change.origin), ("services",)
        ),
        code="budget",
        summary=f"this plan destroys {len(destroyed)} of {len(context.live_by_name)} instances, "
        f"and {allowed} may be ({limit_text})",
        detail=f"it would take down {join_names(destroyed)}",
        hint=f"if that is what you want: -allow-destroy {len(destroyed)}",
    )


def _remembered_policy_note(remembered: bool) -> str:
    """Why what stands in the file does not count."""
    return ", as last applied: a looser policy counts from the next apply on" if remembered else ""


def destroy_budget(share: Share, live_count: int) -> int:
    """How many may be destroyed: rounded up, at least 1, unless it says none."""
    return max(1, share.of(live_count, round_up=True)) if share.number else 0


def _too_many_changes(context: PlanContext, changes: Sequence[Change], policies: Sequence[Policy]) -> Iterator[Finding]:
    count = sum(change.action in _CHANGING_ACTIONS and bool(change.old or change.new) for change in changes)
    total = max(len(context.live_by_name), len(context.desired))
    bounds = [
        (policy.max_changes.of(total, round_up=True), index)
        for index, policy in enumerate(policies)
        if policy.max_changes
    ]
    if bounds and count > max(min(bounds)[0], context.options.allow_changes or 0):
        bound, ruling_index = min(bounds)
        policy_note = _remembered_policy_note(ruling_index > 0)
        yield Finding(
            path=("policy", "max_changes"),
            code="too-many-changes",
            summary=f"this plan changes {count} instances, and policy allows {bound} in one plan{policy_note}",
            hint=f"if that is what you want: -allow-changes {count}; or apply it in parts with -target",
        )


def _unmet_requirements(context: PlanContext, policies: Sequence[Policy], revision: Revision) -> Iterator[Finding]:
    if any(policy.require_clean_tree for policy in policies) and not revision.clean:
        yield Finding(
            path=("policy", "require_clean_tree"),
            code="unclean-tree",
            summary="policy wants what is applied to be committed, and the fleet files differ from every commit",
            hint="commit the changes, then plan again",
        )
    if any(policy.require_health for policy in policies) and not context.options.destroy:
        yield from _services_without_check(context)


def _services_without_check(context: PlanContext) -> Iterator[Finding]:
    """Every service without a check, and not only who is started: to take a check away touches no guest."""
    # A policy that was only applied before is not in the file.
    related = (("policy", "require_health"),) if context.fleet.policy.require_health else ()
    for name, service in sorted(context.fleet.services.items()):
        if not service.health and service.kind != "job":
            yield Finding(
                path=("services", name),
                related=related,
                code="no-health-check",
                summary=f"policy wants every service to have a health check, and {name} has none",
                hint=f"give {name} a `health:`",
            )
