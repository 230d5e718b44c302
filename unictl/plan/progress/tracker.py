"""Tracks an apply: which steps may start, which are skipped, and when a service is rolled back. Pure.

It knows steps by id and nothing of hosts: the caller reports what started, succeeded and failed, and asks what is
next.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from unictl.fleet.names import InstanceKey, InstanceName
from unictl.plan.model import step_ids
from unictl.plan.model.change import Action
from unictl.plan.model.payloads import RetireData
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step, StepId, StepKind
from unictl.plan.progress.rollback import WaveProgress, rollback_steps, waves_in_reverse
from unictl.plan.rollout.graph import PendingSteps

SkippedStep = tuple[Step, str]
"""A step that will not start, and the step that is to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOutcome:
    """Who of a service is what when a walk has ended: ``new`` as planned, ``old`` as before, ``down`` neither.

    ``unknown`` are those on hosts that stopped answering, or were somebody else's meanwhile: ``unseen``.
    ``apart``: services that it needs or is told of, and that are as planned while it is not, or the other way round.
    """

    service: str
    new: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    @property
    def is_mixed(self) -> bool:
        """Whether it is not one and the same everywhere, or not all there, as far as is known."""
        return bool((self.new and self.old) or self.down or self.unknown)


@dataclass(slots=True)
class RolloutTracker:
    """One walk. ``steps`` grows by the way back of a service once nothing of that service runs any more."""

    plan: Plan
    steps: dict[StepId, Step] = field(default_factory=dict)
    started: set[StepId] = field(default_factory=set)
    succeeded: set[StepId] = field(default_factory=set)
    failed_services: dict[str, str] = field(default_factory=dict)
    _ready: dict[StepId, None] = field(default_factory=dict)
    _pending: PendingSteps = field(default_factory=PendingSteps)
    _steps_by_service: defaultdict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))
    _partial_rollbacks: set[str] = field(default_factory=set)
    _unreachable_hosts: set[str] = field(default_factory=set)
    _running: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self._add_steps(self.plan.steps)
        for step in self.plan.steps:
            self._steps_by_service[step.service].append(step)

    def ready(self) -> tuple[Step, ...]:
        """What may start now, in the order of the plan. Barriers end by themselves."""
        while barriers := [step_id for step_id in self._ready if not self.steps[step_id].traits.acts]:
            for step_id in barriers:
                self.start(step_id)
                self.succeed(step_id)
        return tuple(self.steps[step_id] for step_id in self._ready)

    def start(self, step_id: StepId) -> None:
        """A ready step starts."""
        del self._ready[step_id]
        self.started.add(step_id)
        self._running[self._forward_service(step_id)] += 1

    def succeed(self, step_id: StepId) -> None:
        """A step ended well."""
        self.succeeded.add(step_id)
        self._running[self._forward_service(step_id)] -= 1
        for unblocked in self._pending.complete(step_id):
            self._ready[unblocked.id] = None

    def fail(self, step_id: StepId, *, unreachable: bool = False) -> tuple[SkippedStep, ...]:
        """A step did not end well; what will not start because of it. ``unreachable``: its host does not answer, or its
        lease is somebody else's by now: what is there is not known any more."""
        if unreachable:
            self._unreachable_hosts.add(self.steps[step_id].host)
        self._running[self._forward_service(step_id)] -= 1
        skips = self._abandon(step_id, step_id)
        step = self.steps[step_id]
        blocked_services = {skipped.service for skipped, _ in skips if skipped.kind is StepKind.LAUNCH}
        # Who was to stop first, and did not leave every ingress, is out of some: it joins them again.
        left_partially = step.kind is StepKind.LEAVE and step.service in blocked_services
        if step.undo or not (step.traits.fails_wave or left_partially):
            return tuple(skips)
        for service in sorted(blocked_services | {step.service} - {""}):
            skips += self._abort_service(service, step_id, unreachable=unreachable)
        return tuple(skips)

    def rollbacks_due(self) -> tuple[tuple[str, str, tuple[Step, ...]], ...]:
        """Services whose way back begins now, the step to blame, and their steps, which are ready from here on."""
        rollbacks = []
        for service, cause in list(self.failed_services.items()):
            if cause and not self._running[service]:
                self.failed_services[service] = ""
                unreachable_hosts = frozenset(self._unreachable_hosts) if self.is_partial_rollback(service) else None
                steps = rollback_steps(
                    self._wave_progress(service), self._ingress_hosts(service), unreachable_hosts=unreachable_hosts
                )
                self._add_steps(steps)
                rollbacks += [(service, cause, steps)] if steps else []
        return tuple(rollbacks)

    def is_partial_rollback(self, service: str) -> bool:
        """Whether a service fell by a host of which nothing is known any more: it cannot go all the way back."""
        return service in self._partial_rollbacks

    def not_started(self) -> tuple[Step, ...]:
        """What has not started and was not skipped: nothing, unless the walk was stopped."""
        waiting = (step for step in self.steps.values() if self._is_waiting(step))
        return tuple(step for step in waiting if step.traits.acts)

    def service_outcomes(self) -> tuple[ServiceOutcome, ...]:
        """How it stands with every service of which a step failed or never began; nothing where all is done."""
        services = dict.fromkeys(record.service for record in self.plan.waves)
        is_complete = {name: all(wave.is_complete for wave in self._wave_progress(name)) for name in services}
        outcomes = [self._service_outcome(name) for name in services if not is_complete[name]]
        return tuple(
            replace(outcome, apart=tuple(sorted(self._inconsistent_services(outcome.service, is_complete))))
            if outcome.old and not outcome.new
            else outcome
            for outcome in outcomes
        )

    def _inconsistent_services(self, service: str, is_complete: Mapping[str, bool]) -> set[str]:
        """The services that are done, differ from before, and have to do with one that is as before."""
        pairs = {(record.service, related) for record in self.plan.waves for related in record.related_services}
        related = {second if first == service else first for first, second in pairs if service in (first, second)}
        return {name for name in related if is_complete.get(name) and self._spec_differs(name)}

    def _spec_differs(self, service: str) -> bool:
        return any(wave.record.rollback.reverted for wave in self._wave_progress(service))

    def _service_outcome(self, service: str) -> ServiceOutcome:
        changes = [change for change in self.plan.changes if change.service == service]
        hosts_by_name = {change.subject: change.host for change in changes}
        updated: set[str] = set()
        previous: set[str] = set()
        down: set[str] = set()
        for wave in self._wave_progress(service):
            record = wave.record.rollback
            new_hosts = {
                key: host
                for key, host in wave.new_hosts().items()
                if step_ids.rollback_id(step_ids.retire_id(key)) not in self.succeeded
            }
            present: dict[str, str] = {InstanceKey(key).name: host for key, host in new_hosts.items()}
            hosts_by_name |= present
            updated |= present.keys()
            for instance in record.relaunch:
                if instance.name in present:
                    continue
                relaunch_gate_id = step_ids.rollback_id(step_ids.health_gate_id(instance.key))
                has_previous = relaunch_gate_id in self.succeeded or not wave.is_retiring(instance.old_key)
                if not has_previous:
                    down.add(instance.name)
                elif instance.spec_differs:
                    previous.add(instance.name)
                else:  # The same specification under another generation: as planned.
                    updated.add(instance.name)
            stopped = {
                InstanceKey(step.data.key).name
                for step in wave.steps
                if isinstance(step.data, RetireData) and step.id in self.started
            }
            for name in record.irreversible:
                if name not in present:
                    (down if name in stopped else previous).add(name)
        updated |= (
            {own_change.subject for own_change in changes if own_change.action is Action.KEEP}
            if self._spec_differs(service)
            else set()
        )
        unknown = {name for name in updated | previous | down if hosts_by_name.get(name) in self._unreachable_hosts}
        return ServiceOutcome(
            service=service,
            new=_sorted_names(updated - unknown),
            old=_sorted_names(previous - unknown),
            down=_sorted_names(down - unknown),
            unknown=_sorted_names(unknown),
            unseen=tuple(sorted({hosts_by_name[name] for name in unknown})),
        )

    def _wave_progress(self, service: str) -> list[WaveProgress]:
        records = [record for record in self.plan.waves if record.service == service]
        return waves_in_reverse(records, self._steps_by_service[service], self.started, self.succeeded)

    def _ingress_hosts(self, service: str) -> tuple[str, ...]:
        return tuple(sorted({step.host for step in self._steps_by_service[service] if step.traits.writes_ingress}))

    def _abort_service(self, service: str, cause: str, *, unreachable: bool) -> list[SkippedStep]:
        """Nothing more of a service is begun."""
        if unreachable:
            self._partial_rollbacks.add(service)
        if service in self.failed_services:
            return []
        self.failed_services[service] = cause
        skips: list[SkippedStep] = []
        for step in self._steps_by_service[service]:
            if not self._is_waiting(step):
                continue
            self._ready.pop(step.id, None)
            if step.traits.acts:
                skips.append((step, cause))
            skips += self._abandon(step.id, cause)
        return skips

    def _is_waiting(self, step: Step) -> bool:
        """Whether it has neither started nor been skipped."""
        return step.id in self._pending and step.id not in self.started

    def _abandon(self, step_id: StepId, cause: str) -> list[SkippedStep]:
        """A step will not succeed: skip what depends on it."""
        dependents = self._pending.abandon(step_id)
        # A barrier does nothing that anybody would miss.
        return [(dependent, cause) for dependent in dependents if dependent.traits.acts]

    def _add_steps(self, steps: Sequence[Step]) -> None:
        self._pending.add(steps)
        for step in steps:
            self.steps[step.id] = step
            if not step.needs:
                self._ready[step.id] = None

    def _forward_service(self, step_id: StepId) -> str:
        """The service that a step of the way forth is of."""
        step = self.steps[step_id]
        return "" if step.undo else step.service


def _sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (InstanceName(name).service, len(name), name)))
