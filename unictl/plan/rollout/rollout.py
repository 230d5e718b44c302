"""Instance changes -> waves -> steps: what is done in which order, and what waits for what. Pure.

Create-first: stage, launch, health gate, join every ingress, the old instance leaves every ingress, retire it.
Stop-first: leave, retire, launch, health gate, join. Edges between services go through barriers only.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unictl.fleet.model import Service
from unictl.instances.desired.instance import PlacedInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import PlanContext
from unictl.plan.ingress.members import MemberId, ingress_ports, member
from unictl.plan.model import step_ids
from unictl.plan.model.change import Action
from unictl.plan.model.ingress import Membership
from unictl.plan.model.payloads import IngressData
from unictl.plan.model.step import StepId, StepIds, StepKind
from unictl.plan.model.wave import WaveRecord
from unictl.plan.reconcile.reconcile import InstanceChange
from unictl.plan.rollout import step_factory, volume_handover
from unictl.plan.rollout.builder import StepBuilder, make_step
from unictl.plan.rollout.ingress_members import ingress_hosts, initial_members, stop_ingress, superfluous_ingress_hosts
from unictl.plan.rollout.rollback_record import build_wave_record
from unictl.plan.rollout.service_order import direct_needs, order_by_needs
from unictl.plan.rollout.waves import Wave, WaveItem, plan_waves, removals, starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The steps (not yet ordered), the waves as told, and the ingress before the first step and after the last.

    ``handover_conflicts``: what it cannot do.
    """

    builder: StepBuilder
    waves: tuple[WaveRecord, ...]
    membership_before: Membership
    membership_after: Membership
    ingress_hosts: tuple[str, ...]
    handover_conflicts: tuple[volume_handover.HandoverConflict, ...] = ()


def plan_rollout(context: PlanContext, instance_changes: Sequence[InstanceChange]) -> Rollout:
    """Everything that is done about ``instance_changes``."""
    return _RolloutPlanner(context, instance_changes).build()


class _RolloutPlanner:
    """A rollout while it is being made: members per service as of the steps so far, and what stands for what."""

    def __init__(self, context: PlanContext, instance_changes: Sequence[InstanceChange]):
        self.context = context
        self.builder = StepBuilder()
        self.ingress_hosts = ingress_hosts(context)
        self.image_files = step_factory.image_files(context.facts)
        self.superfluous_hosts = superfluous_ingress_hosts(context)
        self.changes_by_service: defaultdict[str, list[InstanceChange]] = defaultdict(list)
        for instance_change in instance_changes:
            self.changes_by_service[instance_change.service].append(instance_change)
        self.members_by_service = initial_members(context)
        self.healthy_ids: dict[str, StepIds] = {}
        self.ended_ids: dict[str, StepIds] = {}
        self.early_ids: dict[str, StepIds] = {}
        self.gone_ids: dict[str, StepIds] = {}
        self.retire_ids: dict[MemberId, StepId] = {}
        self.holders_by_volume = volume_handover.volume_holders(context, instance_changes)
        self.runs_after = volume_handover.handover_predecessors(instance_changes, self.holders_by_volume)
        self.wave_records: list[WaveRecord] = []
        self.handover_conflicts: list[volume_handover.HandoverConflict] = []

    def build(self) -> Rollout:
        membership_before = self._membership()
        service_order = order_by_needs(self.context.fleet, self.runs_after)
        removed_services = tuple(
            sorted(name for name in self.changes_by_service if name not in self.context.fleet.services)
        )
        removals_by_service = {
            name: removals(self.changes_by_service.get(name, ())) for name in (*service_order, *removed_services)
        }
        for name in (*service_order, *removed_services):
            self._remove_early(name, removals_by_service[name])
        for name in service_order:
            self._add_service_waves(self.context.fleet.services[name])
        self._remove_remaining(service_order, removed_services, removals_by_service)
        return Rollout(
            builder=self.builder,
            waves=tuple(self.wave_records),
            membership_before=membership_before,
            membership_after=self._membership(),
            ingress_hosts=self.ingress_hosts,
            handover_conflicts=tuple(
                conflict for conflict in self.handover_conflicts if (conflict.holder, conflict.host) in self.retire_ids
            ),
        )

    def _add_service_waves(self, service: Service) -> None:
        """All waves of a service, one after the other, once what it needs is healthy."""
        items = starts(self.changes_by_service.get(service.name, ()))
        if not items:
            return
        predecessors = {
            instance_change.change.subject: instance_change.change.old
            for instance_change in self.changes_by_service[service.name]
            if instance_change.change.old
        }
        end_ids = self._start_barrier(service)
        join_ids: StepIds = ()
        for wave in plan_waves(service, items, missing_replicas=self._missing_replicas(service)):
            self.wave_records.append(
                build_wave_record(self.context, service, wave, self.members_by_service[service.name], predecessors)
            )
            join_ids, end_ids = self._add_wave(service, wave, end_ids)
        self.healthy_ids[service.name] = join_ids
        self.ended_ids[service.name] = end_ids

    def _start_barrier(self, service: Service) -> StepIds:
        """What stands before its first launch: the services it needs that this plan makes, as few as say it all."""
        needs = direct_needs(self.context.fleet, service, self.healthy_ids)
        healthy_ids = [step_id for need in needs for step_id in self._healthy_barrier(need)]
        return self.builder.add_barrier(
            step_ids.start_barrier_id(service.name), (*self.early_ids.get(service.name, ()), *healthy_ids), service.name
        )

    def _healthy_barrier(self, name: str) -> StepIds:
        """What stands for "all that is made of a service is proven and joined"."""
        return self.builder.add_barrier(step_ids.healthy_barrier_id(name), self.healthy_ids.get(name, ()), name)

    def _missing_replicas(self, service: Service) -> int:
        return sum(
            instance_change.change.action is Action.UNKNOWN
            for instance_change in self.changes_by_service.get(service.name, ())
        )

    def _add_wave(self, service: Service, wave: Wave, needs: StepIds) -> tuple[StepIds, StepIds]:
        """One wave; what stands for "all proven and joined", and for its end."""
        name, number = service.name, wave.number
        prerequisites = {
            wave_item.name: step_factory.add_prerequisites(self.builder, self.context, self.image_files, wave_item.new)
            for wave_item in wave.items
            if wave_item.new
        }
        stop_ids = self._stop_predecessors(wave, needs, prerequisites)
        gate_ids = [
            self._start_instance(service, wave, item, (*needs, *prerequisites[item.name]), stop_ids)
            for item in wave.items
        ]
        ready_ids = self.builder.add_barrier(step_ids.proven_barrier_id(name, number), gate_ids, name, number)
        for item in wave.items:
            if item.new:
                self.members_by_service[name].join(item.new.host, member(self.context.fleet, item.new))
        join_ids = self._write_ingresses(StepKind.JOIN, name, number, ready_ids)
        return join_ids, self._retire_predecessors(wave, join_ids)

    def _stop_predecessors(
        self, wave: Wave, needs: StepIds, prerequisites: Mapping[str, StepIds]
    ) -> dict[str, StepIds]:
        """What goes before its successor is launched: out of the ingress, then down; by item."""
        stopping = [(item, live) for item in wave.items for live in item.stop_first]
        if not stopping:
            return {}
        name, number = wave.service, wave.number
        prerequisite_ids = dict.fromkeys(
            step_id for item, _ in stopping for step_id in prerequisites.get(item.name, ())
        )
        staged_ids = self.builder.add_barrier(step_ids.staged_barrier_id(name, number), prerequisite_ids, name, number)
        leave_ids = self._leave_ingresses(name, number, [live for _, live in stopping], (*needs, *staged_ids))
        stop_ids: dict[str, StepIds] = {}
        for item, live in stopping:
            stop_ids[item.name] = (*stop_ids.get(item.name, ()), self._retire(live, name, number, leave_ids))
        return stop_ids

    def _start_instance(
        self, service: Service, wave: Wave, item: WaveItem, needs: StepIds, stop_ids: Mapping[str, StepIds]
    ) -> StepId:
        placed = item.new
        assert placed is not None, item.name
        step_needs = (*needs, *stop_ids.get(item.name, ()), *self._volume_releases(placed, item))
        if placed.document:
            step_needs = (step_factory.add_launch(self.builder, placed, wave.number, step_needs),)
        return step_factory.add_health_gate(self.builder, service, placed, wave.number, step_needs)

    def _volume_releases(self, placed: PlacedInstance, item: WaveItem) -> StepIds:
        """The end of whoever else holds its volumes and goes in this plan."""
        predecessors = {(live.key, live.host) for live in item.stop_first}
        release_ids: list[StepId] = []
        for volume in placed.desired.volumes.values():
            for key, host in self.holders_by_volume.get(volume, ()):
                if (key, host) in predecessors:
                    continue
                if (key, host) in self.retire_ids:
                    release_ids.append(self.retire_ids[key, host])
                else:
                    self.handover_conflicts.append(
                        volume_handover.HandoverConflict(volume=volume, new=placed, holder=key, host=host)
                    )
        return tuple(release_ids)

    def _retire_predecessors(self, wave: Wave, join_ids: StepIds) -> StepIds:
        """The old ones leave and go."""
        predecessors = [live for item in wave.items for live in item.stop_after]
        name, number = wave.service, wave.number
        if not predecessors:
            return self.builder.add_barrier(step_ids.wave_barrier_id(name, number), join_ids, name, number)
        leave_ids = self._leave_ingresses(name, number, predecessors, join_ids)
        retire_ids = [self._retire(live, name, number, leave_ids) for live in predecessors]
        return self.builder.add_barrier(step_ids.wave_barrier_id(name, number), retire_ids, name, number)

    def _remove_early(self, name: str, items: Sequence[WaveItem]) -> None:
        """What goes first of all: twins of who stays, and who holds a volume that something new is to have."""
        early_instances = [
            live
            for item in items
            for live in item.stop_after
            if item.completes_replacement or self._holds_required_volume(live)
        ]
        if early_instances:
            self.early_ids[name] = self._leave_ingresses(name, 0, early_instances, ())
            for live in early_instances:
                self._retire(live, name, 0, self.early_ids[name])

    def _holds_required_volume(self, live: LiveInstance) -> bool:
        return any((live.key, live.host) in self.holders_by_volume.get(name, ()) for name in live.volumes)

    def _remove_remaining(
        self,
        service_order: Sequence[str],
        removed_services: Sequence[str],
        removals_by_service: Mapping[str, tuple[WaveItem, ...]],
    ) -> None:
        """What only goes, once all that stays is there; who needs another goes before it."""
        healthy_ids = (
            [step_id for name in service_order for step_id in self._healthy_barrier(name)]
            if any(removals_by_service[name] for name in removed_services)
            else []
        )
        all_healthy = self.builder.add_barrier(step_ids.ALL_HEALTHY, healthy_ids)
        for name in removed_services:
            self._remove_service(name, removals_by_service[name], (*self._last_ids(name), *all_healthy))
        dependents = self._dependents(removals_by_service)
        for name in reversed(service_order):
            dependents_gone = (
                step_id for dependent in dependents.get(name, ()) for step_id in self._gone_barrier(dependent)
            )
            self._remove_service(
                name,
                removals_by_service[name],
                (
                    *self._last_ids(name),
                    *self.builder.add_barrier(step_ids.unneeded_barrier_id(name), dependents_gone, name),
                ),
            )

    def _last_ids(self, name: str) -> StepIds:
        """What stands for all that was done about a service so far."""
        return self.ended_ids.get(name) or self.early_ids.get(name, ())

    def _dependents(self, removals_by_service: Mapping[str, tuple[WaveItem, ...]]) -> Mapping[str, list[str]]:
        dependents: defaultdict[str, list[str]] = defaultdict(list)
        for name, service in sorted(self.context.fleet.services.items()):
            for need in service.needs if removals_by_service.get(name) else ():
                dependents[need].append(name)
        return dependents

    def _remove_service(self, name: str, items: Sequence[WaveItem], needs: StepIds) -> None:
        instances = [live for item in items for live in item.stop_after if (live.key, live.host) not in self.retire_ids]
        if not instances:
            return
        number = 1 + sum(1 for wave in self.wave_records if wave.service == name)
        leave_ids = self._leave_ingresses(name, number, instances, needs)
        self.gone_ids[name] = tuple(self._retire(live, name, number, leave_ids) for live in instances)

    def _gone_barrier(self, name: str) -> StepIds:
        """What stands for the end of all that goes of a service."""
        return self.builder.add_barrier(step_ids.gone_barrier_id(name), self.gone_ids.get(name, ()), name)

    def _leave_ingresses(self, name: str, wave: int, instances: Sequence[LiveInstance], needs: StepIds) -> StepIds:
        """Out of every ingress; what stands for that, or ``service_order`` where no ingress knows them."""
        for live in instances:
            self.members_by_service[name].leave(live.host, live.key)
        if not self.members_by_service[name].is_routed or not any(live.forwards for live in instances):
            return self.builder.add_barrier(step_ids.ready_barrier_id(name, wave), needs, name, wave)
        leave_ids = self._write_ingresses(StepKind.LEAVE, name, wave, (*needs, *self._stop_superfluous_ingresses()))
        return self.builder.add_barrier(step_ids.left_barrier_id(name, wave), leave_ids, name, wave)

    def _write_ingresses(self, kind: StepKind, name: str, wave: int, needs: StepIds) -> StepIds:
        """The ingress of every host as it is to be now, for one service.

        ``service_order`` where it has no listeners.
        """
        service = self.context.fleet.services.get(name)
        joins_none = kind is StepKind.JOIN and service is not None and not ingress_ports(service)
        if not self.ingress_hosts or joins_none:
            return needs
        listeners = self.members_by_service[name].listeners()
        drain = service.update.drain if service else step_factory.STOP_GRACE_MS
        data = IngressData(services={name: listeners}, drain=drain if kind is StepKind.LEAVE else None)
        return tuple(self._write_ingress(kind, host, name, wave, needs, data) for host in self.ingress_hosts)

    def _stop_superfluous_ingresses(self) -> StepIds:
        """The end of ingresses on hosts that are to have none: nobody goes while one of them may send to him."""
        ends = (stop_ingress(self.builder, host) for host in self.superfluous_hosts)
        return self.builder.add_barrier(step_ids.SUPERFLUOUS_INGRESSES_STOPPED, ends)

    def _write_ingress(
        self, kind: StepKind, host: str, name: str, wave: int, needs: StepIds, data: IngressData
    ) -> StepId:
        sibling_ids = {
            step_ids.ingress_id(StepKind.JOIN, other_host, name, wave)
            for other_host in self.ingress_hosts
            if other_host != host
        }
        needs = tuple(need for need in needs if need not in sibling_ids)
        step_id = self.builder.unused_id(step_ids.ingress_id(kind, host, name, wave), "after")
        return self.builder.add(make_step(step_id, kind, host, needs, data, subject=name, service=name, wave=wave))

    def _retire(self, live: LiveInstance, name: str, wave: int, needs: StepIds) -> StepId:
        step_id = step_factory.add_retirement(self.builder, self.context, live, name, wave, needs)
        self.retire_ids[live.key, live.host] = step_id
        return step_id

    def _membership(self) -> Membership:
        """The members of every service now. Of a fleet that goes, only of what is still there."""
        listeners_by_service = {name: members.listeners() for name, members in sorted(self.members_by_service.items())}
        return {name: listeners for name, listeners in listeners_by_service.items() if listeners}
