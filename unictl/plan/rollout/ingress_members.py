"""Which hosts run an ingress, and which instances are behind it before the first step. Pure."""

from collections.abc import Iterator

from unictl.fleet.names import InstanceName
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import PlanContext
from unictl.plan.ingress.members import ServiceMembers, member
from unictl.plan.model import step_ids
from unictl.plan.model.payloads import IngressData
from unictl.plan.model.step import WHOLE_INGRESS, StepId, StepKind
from unictl.plan.reconcile.classify import is_serving
from unictl.plan.rollout.builder import StepBuilder, make_step


def ingress_hosts(context: PlanContext) -> tuple[str, ...]:
    """The hosts whose ingress is written: those that are to have one; of a fleet that goes, those that have one."""
    if context.options.destroy:
        return tuple(
            host for host, survey in context.surveys.items() if survey.ingress.get("state", "absent") != "absent"
        )
    hosts = context.fleet.hosts
    return tuple(host for host in context.surveys if host in hosts and hosts[host].ingress and not hosts[host].lost)


def superfluous_ingress_hosts(context: PlanContext) -> tuple[str, ...]:
    """Hosts of the fleet that have an ingress and are to have none."""
    required_hosts = ingress_hosts(context)
    running_hosts = (
        host
        for host, survey in context.surveys.items()
        if survey.ingress.get("state") in ("running", "starting", "dead")
    )
    return tuple(host for host in running_hosts if host not in required_hosts)


def stop_ingress(builder: StepBuilder, host: str) -> StepId:
    """End the ingress of a host."""
    return builder.add(
        make_step(
            step_ids.whole_ingress_id(host), StepKind.JOIN, host, (), IngressData(services={}), subject=WHOLE_INGRESS
        )
    )


def initial_members(context: PlanContext) -> dict[str, ServiceMembers]:
    """Who is behind the ingress before the first step, by service: what runs and has passed its gate."""
    destroying = context.options.destroy
    members_by_service = {
        name: ServiceMembers(name, service, context.endpoints, being_removed=destroying)
        for name, service in context.fleet.services.items()
    }
    for name, lives in sorted(context.live_by_name.items()):
        service = InstanceName(name).service
        if service not in members_by_service:
            members_by_service[service] = ServiceMembers(service, None, context.endpoints)
        for live in _serving_instances(context, lives):
            members_by_service[service].join(live.host, member(context.fleet, live))
    return members_by_service


def _serving_instances(context: PlanContext, lives: tuple[LiveInstance, ...]) -> Iterator[LiveInstance]:
    """Those that serve; a host that was declared lost and is back may show a key that lives elsewhere by now."""
    if len(lives) > 1:
        lives = tuple(sorted(lives, key=lambda live: (_is_leaving(context, live.host), live.host)))
    keys: set[str] = set()
    for live in lives:
        if is_serving(live) and live.forwards and live.key not in keys:
            keys.add(live.key)
            yield live


def _is_leaving(context: PlanContext, host: str) -> bool:
    declared_host = context.fleet.hosts.get(host)
    return declared_host is None or declared_host.lost or declared_host.drain
