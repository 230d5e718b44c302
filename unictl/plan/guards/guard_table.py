"""Every guard of a plan, in the order in which its findings are shown. To add one, write its module and add a line."""

from collections.abc import Callable, Iterable, Iterator

from unictl.diagnostics.finding import Finding
from unictl.plan.guards import (
    accidents,
    availability,
    budget,
    capabilities,
    duplicates,
    fleet_rename,
    health_checks,
    host_identity,
    hosts,
    ingress_size,
    placement,
    ports,
    protection,
    step_cycle,
    volumes,
)
from unictl.plan.guards.draft import PlanDraft

Guard = Callable[[PlanDraft], Iterator[Finding]]

GUARDS: tuple[Guard, ...] = (
    host_identity.wrong_host,
    hosts.host_findings,
    fleet_rename.rename_conflicts,
    duplicates.lost_host_answers,
    duplicates.duplicate_volumes,
    ports.unsupported_publishing,
    placement.unplaceable_instances,
    protection.protected_instances,
    volumes.volume_findings,
    availability.availability_floor,
    health_checks.last_check_removed,
    capabilities.missing_capabilities,
    ports.ports_in_use,
    ports.privileged_ports,
    ingress_size.ingress_too_long,
    budget.policy_findings,
    accidents.fleet_would_be_empty,
    accidents.service_looks_renamed,
    accidents.volume_loses_last_user,
    step_cycle.step_cycle,
)


def check_draft(draft: PlanDraft, guards: Iterable[Guard] = GUARDS) -> Iterator[Finding]:
    """Everything that speaks against the plan, and every warning."""
    for guard in guards:
        yield from guard(draft)
