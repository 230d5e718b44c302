"""Predicts what happens when hosts are lost, or services removed or scaled, with the planner's functions. Pure.

A prediction says which instances are healthy now, immediately after, and after an apply; what moves, what finds no
host, and what happens to the volumes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Fleet
from unictl.fleet.names import InstanceKey, closest_match, join_names
from unictl.fleet.references import find_references
from unictl.instances.desired.instance import desired_instances
from unictl.instances.desired.spec import FleetFacts, guest_texts
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey
from unictl.instances.placement.shortfall import Shortfall
from unictl.plan.context.context import PlanContext, build_context
from unictl.plan.context.scope import resolve_scope
from unictl.plan.guards import budget, protection
from unictl.plan.model.change import Action, Change
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.revision import Revision
from unictl.plan.reconcile.classify import is_serving
from unictl.plan.reconcile.reconcile import InstanceChange, Reconciliation, reconcile

_RUNNING_ACTIONS = (Action.KEEP, Action.CREATE, Action.REPLACE, Action.MOVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is supposed: hosts that are lost, services that are gone, services with another number of replicas."""

    lost_hosts: tuple[str, ...] = ()
    removed_services: tuple[str, ...] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """``hv1 and hv2 are lost, cache is gone, api has 20 replicas``."""
        lost_phrases = (
            [f"{join_names(self.lost_hosts)} {'is' if len(self.lost_hosts) == 1 else 'are'} lost"]
            if self.lost_hosts
            else []
        )
        removed_phrases = (
            [f"{join_names(self.removed_services)} {'is' if len(self.removed_services) == 1 else 'are'} gone"]
            if self.removed_services
            else []
        )
        scaled_phrases = [
            f"{name} has {count} replica{'' if count == 1 else 's'}" for name, count in sorted(self.replicas.items())
        ]
        return ", ".join([*lost_phrases, *removed_phrases, *scaled_phrases])


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceForecast:
    """A service before, at once, and once the change is applied: healthy instances, of ``before`` and ``wanted``.

    ``held``: instances that stay down until somebody decides; ``lacks``: services that it needs or was told of, of
    which none is healthy at once. Of a ``job`` healthy is done: applied, it runs again where it was lost.
    """

    service: str
    before: int
    now: int
    at_once: int
    applied: int
    wanted: int
    held: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    job: bool = False

    @property
    def is_affected(self) -> bool:
        """Whether anything becomes of it at all."""
        return not (self.now == self.at_once == self.applied and self.before == self.wanted) or bool(self.lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMove:
    """An instance that would stand elsewhere."""

    instance: str
    service: str
    host: str
    to_host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeForecast:
    """What becomes of a volume: ``lost`` (with its host), ``begins-empty``, ``held`` (its user stays down),
    ``unused`` (nobody has it any more, and it stays)."""

    volume: str
    host: str
    size: int
    what: str
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What would be.

    ``unplaced``: why instances find no host, ``smallest_changes``: what would have to change for them.

    ``refusals`` is what an apply of it would be refused for; ``ingresses`` are the hosts that still publish, of those
    that do now. ``pending``: instances that differ from the fleet file anyway.
    """

    scenario: Scenario
    services: tuple[ServiceForecast, ...]
    moves: tuple[InstanceMove, ...] = ()
    created: tuple[str, ...] = ()
    destroyed: tuple[str, ...] = ()
    unplaced: tuple[str, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    smallest_changes: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[VolumeForecast, ...] = ()
    refusals: tuple[Finding, ...] = ()
    ingresses: tuple[str, ...] = ()
    had_ingresses: tuple[str, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    pending: int = 0
    hosts: Mapping[str, str] = field(default_factory=dict)


def validate_scenario(fleet: Fleet, scenario: Scenario) -> Scenario:
    """The question as it stands; ValueError with a sentence where it names what the fleet does not have."""
    groups = (
        ("host", scenario.lost_hosts, fleet.hosts),
        ("service", (*scenario.removed_services, *scenario.replicas), fleet.services),
    )
    for kind, names, existing in groups:
        for name in names:
            if name not in existing:
                suggestion = closest_match(name, existing)
                hint = (
                    f", did you mean {suggestion}?"
                    if suggestion
                    else f": there {'are' if len(existing) > 1 else 'is'} {join_names(existing)}"
                    if existing
                    else ""
                )
                raise ValueError(f"there is no {kind} {name!r}{hint}")
    return scenario


def apply_scenario(fleet: Fleet, scenario: Scenario) -> Fleet:
    """The fleet as the question has it."""
    hosts = {name: replace(host, lost=host.lost or name in scenario.lost_hosts) for name, host in fleet.hosts.items()}
    services = {
        name: replace(service, replicas=scenario.replicas.get(name, service.replicas))
        for name, service in fleet.services.items()
        if name not in scenario.removed_services
    }
    return replace(fleet, hosts=hosts, services=services)


def predict(
    fleet: Fleet, facts: FleetFacts, endpoints: Mapping[str, int], live_state: LiveState, scenario: Scenario
) -> Prediction:
    """What would become of ``live_state`` under ``scenario``; ValueError where it names what is not there."""
    fleet_after = apply_scenario(fleet, validate_scenario(fleet, scenario))
    remaining = {name: survey for name, survey in live_state.items() if name not in scenario.lost_hosts}
    context = build_context(
        fleet_after, facts, endpoints, remaining, desired=desired_instances(fleet_after, facts), options=PlanOptions()
    )
    reconciliation = reconcile(context, resolve_scope(context), locating=False)
    return _Predictor(fleet, live_state, scenario, context, reconciliation).predict()


class _Predictor:
    """One answer in the making."""

    def __init__(
        self,
        fleet: Fleet,
        live_state: LiveState,
        scenario: Scenario,
        context: PlanContext,
        reconciliation: Reconciliation,
    ):
        self.fleet, self.live_state, self.scenario, self.context, self.reconciliation = (
            fleet,
            live_state,
            scenario,
            context,
            reconciliation,
        )
        self.live_by_name: defaultdict[str, list[LiveInstance]] = defaultdict(list)
        for survey in live_state.values():
            for live in survey.instances if isinstance(survey, Survey) else ():
                self.live_by_name[live.name].append(live)
        self.changes = [
            change
            for instance_change in reconciliation.instance_changes
            for change in (instance_change.change, *instance_change.other_generations)
        ]
        self.host_by_name = {
            entry.change.subject: entry.change.to_host or entry.change.host
            for entry in reconciliation.instance_changes
            if _runs_afterwards(entry.change)
        }

    def predict(self) -> Prediction:
        instance_changes, placement = self.reconciliation.instance_changes, self.reconciliation.placement
        forecasts = tuple(self._service_forecasts())
        names = {instance_change.change.subject for instance_change in instance_changes if instance_change.desired}
        return Prediction(
            scenario=self.scenario,
            services=forecasts,
            moves=tuple(self._moves(instance_changes)),
            created=tuple(
                change.subject
                for change in self.changes
                if change.action is Action.CREATE and change.subject not in self.live_by_name
            ),
            destroyed=budget.destroyed_instances(self.changes),
            unplaced=tuple(name for name in placement.unplaced if name in names),
            shortfalls=placement.shortfalls,
            smallest_changes=placement.smallest_changes,
            volumes=tuple(self._volume_forecasts()),
            refusals=tuple(self._refusals()),
            ingresses=tuple(self._ingresses(self.context.fleet)),
            had_ingresses=tuple(self._ingresses(self.fleet)),
            silent=self.context.unreachable,
            pending=sum(change.action is Action.REPLACE for change in self.changes),
            hosts=dict(sorted(self.host_by_name.items())),
        )

    def _service_forecasts(self) -> Iterator[ServiceForecast]:
        healthy_now, healthy_at_once = Counter[str](), Counter[str]()
        desired_names = {instance.name for instance in self.context.desired}
        for lives in self.live_by_name.values():
            for live in (
                lives[:1] if len(lives) == 1 else sorted(lives, key=lambda candidate: not is_serving(candidate))[:1]
            ):
                healthy_now[live.service] += self._is_healthy(live)
                stays = live.host not in self.scenario.lost_hosts and live.name in desired_names
                healthy_at_once[live.service] += stays and self._is_healthy(live)
        applied = Counter(
            instance_change.service
            for instance_change in self.reconciliation.instance_changes
            if instance_change.desired and _runs_afterwards(instance_change.change)
        )
        held_by_service: defaultdict[str, list[str]] = defaultdict(list)
        for instance_change in self.reconciliation.instance_changes:
            if instance_change.desired and not _runs_afterwards(instance_change.change):
                held_by_service[instance_change.service].append(instance_change.change.subject)
        for name, service in sorted(self.fleet.services.items()):
            service_after = self.context.fleet.services.get(name)
            yield ServiceForecast(
                service=name,
                before=service.replicas,
                now=healthy_now[name],
                at_once=healthy_at_once[name],
                applied=applied[name],
                wanted=service_after.replicas if service_after else 0,
                held=tuple(held_by_service[name]),
                lacks=tuple(
                    dependency
                    for dependency in self._dependencies(name)
                    if healthy_now[dependency] and not healthy_at_once[dependency] and service_after
                ),
                job=service.kind == "job",
            )

    def _is_healthy(self, live: LiveInstance) -> bool:
        """Whether it serves; a job that ended well has done its work."""
        service = self.fleet.services.get(live.service)
        done = service is not None and (service.kind == "job" or service.activation is not None)
        return is_serving(live) or (done and live.state == "ended" and (live.end or {}).get("verdict") == "clean")

    def _dependencies(self, name: str) -> tuple[str, ...]:
        """The services that one needs, or was told the endpoint of; a job that is done is not needed any more."""
        service, services = self.fleet.services[name], self.fleet.services
        referenced = {
            reference.name.partition(".")[0]
            for text in guest_texts(service)
            for reference in find_references(text)
            if reference.kind == "service"
        }
        dependencies = (dependency for dependency in {*service.needs, *referenced} - {name} if dependency in services)
        return tuple(sorted(dependency for dependency in dependencies if services[dependency].kind != "job"))

    def _moves(self, instance_changes: tuple[InstanceChange, ...]) -> Iterator[InstanceMove]:
        for instance_change in instance_changes:
            old_hosts = [live.host for live in self.live_by_name.get(instance_change.change.subject, ())]
            new_host = self.host_by_name.get(instance_change.change.subject)
            if instance_change.desired and old_hosts and new_host and new_host not in old_hosts:
                yield InstanceMove(
                    instance=instance_change.change.subject,
                    service=instance_change.service,
                    host=old_hosts[0],
                    to_host=new_host,
                )

    def _volume_forecasts(self) -> Iterator[VolumeForecast]:
        users = {
            name: instance_change
            for instance_change in self.reconciliation.instance_changes
            if instance_change.desired
            for name in instance_change.desired.volumes.values()
        }
        for host, survey in sorted(self.live_state.items()):
            for volume in sorted(survey.volumes, key=lambda entry: entry.name) if isinstance(survey, Survey) else ():
                instance_change = users.get(volume.name)
                user = instance_change.change.subject if instance_change else InstanceKey(volume.used_by).name
                if host in self.scenario.lost_hosts:
                    outcome = (
                        "lost"
                        if instance_change is None
                        else "begins-empty"
                        if _runs_afterwards(instance_change.change)
                        else "held"
                    )
                elif instance_change is None:
                    outcome = "unused"
                else:
                    continue
                yield VolumeForecast(volume=volume.name, host=host, size=volume.size, what=outcome, instance=user)

    def _refusals(self) -> Iterator[Finding]:
        yield from protection.find_protected(self.context, self.changes)
        yield from budget.find_violations(self.context, self.changes, Revision(clean=True), whole=True)

    def _ingresses(self, fleet: Fleet) -> Iterator[str]:
        if not any(service.publish for service in fleet.services.values()):
            return
        for name, host in sorted(fleet.hosts.items()):
            if host.ingress and not host.lost and isinstance(self.live_state.get(name), Survey):
                yield name


def _runs_afterwards(change: Change) -> bool:
    """Whether the instance is there and runs once the change is applied."""
    is_held_serving = change.action is Action.HELD and change.old is not None and is_serving(change.old)
    return change.action in _RUNNING_ACTIONS or is_held_serving
