"""Hosts that still have the fleet under its former name. Pure."""

from unictl.plan.context.context import PlanContext


def pending_hosts(context: PlanContext) -> tuple[str, ...]:
    """The hosts that still have the fleet under its former name."""
    owner_by_host = {
        host: survey.naming.owner for host, survey in context.surveys.items() if host in context.fleet.hosts
    }
    return tuple(host for host, owner in owner_by_host.items() if owner not in ("", context.fleet.owner))
