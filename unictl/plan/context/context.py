"""The context of a plan: desired and live state side by side. Pure; decides nothing.

Hosts marked `lost: true` are left out of `surveys` and `unreachable`. If one answers anyway it goes into
`returned`, which a guard refuses; nothing else reads it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unictl.fleet.model import Fleet, Service
from unictl.fleet.names import InstanceName
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.launch.addresses import resolve_references
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey, UnreachableHost, parse_remembered_host
from unictl.plan.context.failed_rollouts import FailedFingerprints, failed_fingerprints
from unictl.plan.model.options import PlanOptions

LiveByName = Mapping[str, tuple[LiveInstance, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """``live_by_name`` are by desired name: a renamed instance stands under its new one.

    ``lost_hosts`` hosts are declared dead, and not in ``live_state``; ``returned`` are those of them that answer.

    ``ingress_unknown``: somebody on a silent host may be behind an ingress, and where is not known: writing it anew
    would take them out. ``volume_hosts`` are those that a host shows, and that host; ``retired_launches`` the highest
    launch number that was retired, by name; ``previous_ingress_hosts``: as last applied; ``failed_fingerprints``: see
    ``plan.memory``. ``_resolved_cache`` remembers what references mean, ``drift_cache`` how specs differ
    (``plan.drift``).
    """

    fleet: Fleet
    facts: FleetFacts
    endpoints: Mapping[str, int]
    options: PlanOptions
    desired: tuple[DesiredInstance, ...]
    live_state: LiveState
    surveys: Mapping[str, Survey]
    unreachable: Mapping[str, str]
    lost_hosts: frozenset[str]
    returned: Mapping[str, Survey]
    live_by_name: LiveByName
    volume_hosts: Mapping[str, str]
    retired_launches: Mapping[str, int]
    previous_ingress_hosts: frozenset[str]
    ingress_unknown: bool
    failed_fingerprints: FailedFingerprints
    commit: str = ""
    _resolved_cache: dict[str, Mapping[str, str]] = field(default_factory=dict)
    drift_cache: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def service(self, desired: DesiredInstance) -> Service:
        """The service this is a replica of."""
        return self.fleet.services[desired.service]

    def resolved_references(self, desired: DesiredInstance, host: str) -> Mapping[str, str]:
        """What its references to services mean: an endpoint is the same for every replica of it, wherever."""
        if desired.service not in self._resolved_cache:
            references = resolve_references(self.fleet, desired, host, self.endpoints)
            self._resolved_cache[desired.service] = {
                name: value for name, value in references.items() if name.startswith("service.")
            }
        return self._resolved_cache[desired.service]

    def unreachable_ingresses(self) -> tuple[str, ...]:
        """Hosts that may route to an instance and do not answer."""
        return tuple(
            sorted(
                host
                for host in self.unreachable
                if self.fleet.hosts[host].ingress or host in self.previous_ingress_hosts
            )
        )


def build_context(
    fleet: Fleet,
    facts: FleetFacts,
    endpoints: Mapping[str, int],
    live_state: LiveState,
    *,
    desired: tuple[DesiredInstance, ...],
    options: PlanOptions,
    commit: str = "",
) -> PlanContext:
    """The situation of a fleet: its hosts sorted by whether they answered, its instances by name."""
    lost_hosts = frozenset(name for name, host in fleet.hosts.items() if host.lost)
    returned = {host: survey for host in sorted(lost_hosts) if isinstance(survey := live_state.get(host), Survey)}
    live_state = {host: survey for host, survey in live_state.items() if host not in returned}
    surveys = {host: survey for host in sorted(live_state) if isinstance(survey := live_state[host], Survey)}
    unreachable = {
        host_name: _unreachable_reason(live_state.get(host_name))
        for host_name in sorted(fleet.hosts)
        if host_name not in surveys and host_name not in lost_hosts
    }
    live_by_name = _live_by_name(fleet, surveys)
    return PlanContext(
        fleet=fleet,
        facts=facts,
        endpoints=endpoints,
        options=options,
        commit=commit,
        desired=desired,
        live_state=live_state,
        surveys=surveys,
        unreachable=unreachable,
        lost_hosts=lost_hosts,
        returned=returned,
        live_by_name=live_by_name,
        volume_hosts={volume.name: host for host, survey in surveys.items() for volume in survey.volumes},
        retired_launches=_highest_retired_launches(surveys.values()),
        previous_ingress_hosts=_previous_ingress_hosts(surveys.values()) if unreachable else frozenset(),
        failed_fingerprints=failed_fingerprints(surveys.values()),
        ingress_unknown=bool(unreachable)
        and any(instance.ports and instance.name not in live_by_name for instance in desired),
    )


def _highest_retired_launches(surveys: Iterable[Survey]) -> Mapping[str, int]:
    launches: dict[str, int] = {}
    for survey in surveys:
        for name, launch in survey.retired.items():
            launches[name] = max(launch, launches.get(name, 0))
    return launches


def _previous_ingress_hosts(surveys: Iterable[Survey]) -> frozenset[str]:
    """Hosts that had an ingress when the fleet was last applied, as others remember."""
    host_texts = {host_text for survey in surveys for host_text in survey.hosts or ()}
    return frozenset(host.name for host in map(parse_remembered_host, host_texts) if host.ingress)


def _unreachable_reason(reply: Survey | UnreachableHost | None) -> str:
    if not isinstance(reply, UnreachableHost):
        return "it was not asked"
    return f"{reply.reason} ({reply.hint})" if reply.hint else reply.reason


def _live_by_name(fleet: Fleet, surveys: Mapping[str, Survey]) -> LiveByName:
    service_by_old_name = {
        service.was: service for service in fleet.services.values() if service.was not in (*fleet.services, "")
    }
    by_name: defaultdict[str, list[LiveInstance]] = defaultdict(list)
    for survey in surveys.values():
        for live in survey.instances:
            by_name[_desired_name(live, service_by_old_name)].append(live)
    return {name: tuple(instances) for name, instances in by_name.items()}


def _desired_name(live: LiveInstance, service_by_old_name: Mapping[str, Service]) -> str:
    service = service_by_old_name.get(live.service)
    if service is None or live.ordinal >= service.replicas:
        return live.name
    return InstanceName.of(service.name, live.ordinal)
