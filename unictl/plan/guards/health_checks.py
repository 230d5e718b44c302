"""Warns when services lose their last health check. Pure.

Removing a check changes no instance, and no ingress that does not use it. Only what hosts recorded shows it.
"""

from collections import defaultdict
from collections.abc import Iterator

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.fleet.names import join_names
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.reconcile import health_checks


def last_check_removed(draft: PlanDraft) -> Iterator[Finding]:
    """Services that lose their last check while something of them runs: from now on a guest that hangs is healthy."""
    context, scope = draft.context, draft.scope
    if context.options.destroy:
        return
    kinds_by_service: defaultdict[str, set[str]] = defaultdict(set)
    for desired in context.desired:
        service = context.service(desired)
        if not service.health and scope.includes_desired(desired):
            for live in context.live_by_name.get(desired.name, ()):
                kinds_by_service[desired.service].update(
                    live.checks if health_checks.presence_differs(service, live) and live.checks else ()
                )
    names = sorted(name for name, removed_kinds in kinds_by_service.items() if removed_kinds)
    if names:
        possessive, verb = ("their", "lose") if len(names) > 1 else ("its", "loses")
        kinds_text = join_names(sorted(set().union(*kinds_by_service.values())))
        yield Finding(
            path=("services", names[0]),
            code="check-removed",
            summary=f"{join_names(names)} {verb} {possessive} last health check ({kinds_text}): "
            "a guest that hangs counts as healthy then, and so does a new one that never answers",
            hint="give it a `health:` again; `policy.require_health: true` refuses a plan without",
            severity=Severity.WARNING,
        )
