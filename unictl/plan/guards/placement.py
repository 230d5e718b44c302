"""Refuses instances that no host can take. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from unictl.diagnostics.finding import Finding
from unictl.plan.guards.draft import PlanDraft


def unplaceable_instances(draft: PlanDraft) -> Iterator[Finding]:
    """Instances that find no host, on each host with what it lacks, and the smallest change that would help."""
    placement = draft.reconciliation.placement
    planned_names = {desired.name for desired in draft.context.desired if draft.scope.includes_desired(desired)}
    for shortfall in placement.shortfalls:
        if shortfall.instance in planned_names:
            finding = shortfall.finding
            is_subject_named = shortfall.instance in finding.summary
            prefix = "" if is_subject_named else f"{shortfall.instance} cannot be on {shortfall.host}: "
            hint = placement.smallest_changes.get(shortfall.instance) or finding.hint
            yield replace(finding, summary=prefix + finding.summary, hint=hint)
