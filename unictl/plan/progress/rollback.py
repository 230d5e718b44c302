"""The steps that roll a service back after one of its waves failed, from what had started by then. Pure.

The failed wave is rolled back first, then the completed ones, the last one first; each once the one before has
finished, and with no more instances at once than in the rollout. Create-first: launch the previous instance, health
gate, join, the new ones leave, retire. Stop-first: the new ones leave, retire, launch the previous, health gate,
join.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from unictl.fleet.names import InstanceKey
from unictl.plan.model import step_ids
from unictl.plan.model.ingress import Server, ServerSwap
from unictl.plan.model.payloads import GateData, LaunchData, RetireData, StepData, SwapData
from unictl.plan.model.rollback import RollbackInstance, ServerByListener
from unictl.plan.model.step import Step, StepId, StepIds, StepKind
from unictl.plan.model.wave import WaveRecord
from unictl.plan.rollout.builder import StepBuilder
from unictl.plan.rollout.step_factory import STOP_GRACE_MS


@dataclass(slots=True, kw_only=True)
class WaveProgress:
    """How far one wave came: its record in the plan, its steps, and which of these had begun or ended well."""

    record: WaveRecord
    steps: list[Step] = field(default_factory=list)
    started: Container[str]
    succeeded: Container[str]

    @property
    def is_complete(self) -> bool:
        """Whether all of it ended well."""
        return all(step.id in self.succeeded for step in self.steps)

    @property
    def was_started(self) -> bool:
        """Whether anything of it began."""
        return any(step.id in self.started for step in self.steps)

    def has_started(self, kind: StepKind) -> bool:
        """Whether a step of this kind began."""
        return any(step.kind is kind and step.id in self.started for step in self.steps)

    def is_retiring(self, key: str) -> bool:
        """Whether this generation was being taken down, or is."""
        return any(
            isinstance(step.data, RetireData) and step.data.key == key and step.id in self.started
            for step in self.steps
        )

    def new_hosts(self) -> dict[str, str]:
        """The new generations that may be there: key -> host."""
        return {
            instance_key(step): step.host
            for step in self.steps
            if step.traits.starts_instance and step.id in self.started
        }

    def retired_keys(self) -> list[str]:
        """The generations that it takes down."""
        return [step.data.key for step in self.steps if isinstance(step.data, RetireData)]

    def has_passed_gate(self, key: str) -> bool:
        """Whether a new generation passed its gate."""
        return any(
            isinstance(step.data, GateData) and step.data.key == key and step.id in self.succeeded
            for step in self.steps
        )


def instance_key(step: Step) -> str:
    """The key of what a launch or a proof is about."""
    return step.data.key if isinstance(step.data, LaunchData) else step.data_as(GateData).key


def waves_in_reverse(
    waves: Iterable[WaveRecord], steps: Iterable[Step], begun: Container[str], done: Container[str]
) -> list[WaveProgress]:
    """The waves of one service, the last one first."""
    by_number = {record.number: WaveProgress(record=record, started=begun, succeeded=done) for record in waves}
    for step in steps:
        if step.wave in by_number and step.traits.acts and not step.undo:
            by_number[step.wave].steps.append(step)
    return [by_number[number] for number in sorted(by_number, reverse=True)]


def rollback_steps(
    waves: Sequence[WaveProgress], ingresses: Sequence[str], *, unreachable_hosts: frozenset[str] | None = None
) -> tuple[Step, ...]:
    """The steps. ``ingresses``: the hosts whose ingress the service's steps write.

    ``unreachable_hosts``: the hosts that fell silent, where nobody knows how it went (None: it did not fail by that).
    Nothing is done there, and elsewhere only what nobody was sent to is removed.
    """
    is_partial, unreachable_hosts = unreachable_hosts is not None, unreachable_hosts or frozenset()
    builder = _RollbackBuilder([host for host in ingresses if host not in unreachable_hosts], unreachable_hosts)
    has_reverts = any(wave.record.rollback.reverted for wave in waves)
    for wave in (wave for wave in waves if wave.was_started):
        if not wave.is_complete:
            if not (is_partial and wave.has_started(StepKind.JOIN)):
                builder.undo_failed_wave(wave)
        elif wave.record.rollback.reverts_after_later_failure and has_reverts and not is_partial:
            builder.undo_completed_wave(wave)
    return builder.builder.steps()


class _RollbackBuilder:
    """A way back in the making; ``last_ids`` is what stands for the end of all of it so far."""

    def __init__(self, ingresses: Sequence[str], unreachable_hosts: frozenset[str]):
        self.ingresses = ingresses
        self.unreachable_hosts = unreachable_hosts
        self.builder = StepBuilder()
        self.last_ids: StepIds = ()
        self.counter = 0

    def undo_failed_wave(self, wave: WaveProgress) -> None:
        """The wave that failed: who left an ingress already is back there, its new ones go, and what had to go before
        them is launched anew."""
        record, new_hosts = wave.record.rollback, wave.new_hosts()
        if wave.has_started(StepKind.LEAVE):
            self._join_ingresses(
                wave,
                [servers for key, servers in record.old_servers.items() if not wave.is_retiring(key)],
                self.last_ids,
            )
        uncovered = {InstanceKey(key).name for key in wave.retired_keys() if wave.is_retiring(key)} & set(
            record.irreversible
        )
        proven_keys = {key for key in new_hosts if InstanceKey(key).name in uncovered and wave.has_passed_gate(key)}
        new_hosts = {
            key: host
            for key, host in new_hosts.items()
            if key not in proven_keys and host not in self.unreachable_hosts
        }
        # What an earlier apply launched may be behind an ingress already, whatever is known of it.
        self._remove_generations(
            wave,
            new_hosts,
            joined=wave.has_started(StepKind.JOIN) or bool(set(new_hosts) & set(record.already_present)),
        )
        relaunches = [
            instance
            for instance in record.relaunch
            if wave.is_retiring(instance.old_key) and instance.host not in self.unreachable_hosts
        ]
        for batch in _chunks(relaunches, record.max_down):
            self._relaunch(wave, batch)

    def undo_completed_wave(self, wave: WaveProgress) -> None:
        """A wave that was done: who was something else becomes that again; who was nothing goes."""
        record, new_hosts = wave.record.rollback, wave.new_hosts()
        create_first = [instance for instance in record.reverted if not instance.stops_first]
        stop_first = [instance for instance in record.reverted if instance.stops_first]
        for batch in _chunks(create_first, record.max_beside):
            self._relaunch(wave, batch)
            self._remove_generations(wave, {instance.new_key: new_hosts[instance.new_key] for instance in batch})
        for batch in _chunks(stop_first, record.max_down):
            self._remove_generations(wave, {instance.new_key: new_hosts[instance.new_key] for instance in batch})
            self._relaunch(wave, batch)
        self._remove_generations(wave, {key: new_hosts[key] for key in record.additions if key in new_hosts})

    def _relaunch(self, wave: WaveProgress, instances: Sequence[RollbackInstance]) -> None:
        """Launch what was, prove it, put it behind every ingress."""
        gate_ids = []
        for instance in instances:
            data = LaunchData(document=instance.document, secrets=instance.secrets)
            launch_id = self._add_step(
                wave,
                step_ids.launch_id(instance.key),
                StepKind.LAUNCH,
                instance.host,
                self.last_ids,
                data,
                instance.key,
            )
            gate_ids.append(
                self._add_step(
                    wave,
                    step_ids.health_gate_id(instance.key),
                    StepKind.PROVE,
                    instance.host,
                    (launch_id,),
                    instance.health_gate,
                    instance.key,
                )
            )
        ready_ids = self._add_barrier(gate_ids)
        self._join_ingresses(wave, [instance.servers for instance in instances], ready_ids)

    def _remove_generations(self, wave: WaveProgress, keys: Mapping[str, str], *, joined: bool = True) -> None:
        """Out of every ingress, then down."""
        if not keys:
            return
        if joined:
            swap = ServerSwap(joining={}, leaving=tuple(sorted(keys)))
            self._write_ingresses(
                wave,
                StepKind.LEAVE,
                SwapData(swaps={wave.record.service: swap}, drain=wave.record.drain),
                self.last_ids,
            )
        retire_ids = [
            self._add_step(
                wave,
                step_ids.retire_id(key),
                StepKind.RETIRE,
                host,
                self.last_ids,
                RetireData(key=key, grace=STOP_GRACE_MS, keep=5),
                key,
            )
            for key, host in keys.items()
        ]
        self.last_ids = self._add_barrier(retire_ids)

    def _join_ingresses(self, wave: WaveProgress, servers: Iterable[ServerByListener], needs: StepIds) -> None:
        servers_by_listener: defaultdict[str, list[Server]] = defaultdict(list)
        for instance_servers in servers:
            for listener, server in instance_servers.items():
                servers_by_listener[listener].append(server)
        self.last_ids = needs
        if servers_by_listener:
            swap = ServerSwap(joining={listener: tuple(joining) for listener, joining in servers_by_listener.items()})
            self._write_ingresses(wave, StepKind.JOIN, SwapData(swaps={wave.record.service: swap}), needs)

    def _write_ingresses(self, wave: WaveProgress, kind: StepKind, data: SwapData, needs: StepIds) -> None:
        """One ingress step a host; nothing where the service is behind none."""
        service = wave.record.service
        self.counter += 1
        ingress_ids = [
            self._add_step(
                wave, step_ids.ingress_id(kind, host, service, self.counter), kind, host, needs, data, service
            )
            for host in self.ingresses
        ]
        self.last_ids = self._add_barrier(ingress_ids) if ingress_ids else needs

    def _add_step(
        self,
        wave: WaveProgress,
        forward_id: StepId,
        kind: StepKind,
        host: str,
        needs: StepIds,
        data: StepData,
        subject: str,
    ) -> StepId:
        record = wave.record
        return self.builder.add(
            Step(
                id=step_ids.rollback_id(forward_id),
                kind=kind,
                host=host,
                subject=subject,
                service=record.service,
                wave=record.number,
                undo=True,
                data=data,
                needs=needs,
            )
        )

    def _add_barrier(self, needs: Iterable[StepId]) -> StepIds:
        ids = tuple(needs)
        if len(ids) <= 1:
            return ids
        self.counter += 1
        barrier_id = step_ids.rollback_barrier_id(self.counter, ids[0])
        return (self.builder.add(Step(id=barrier_id, kind=StepKind.BARRIER, subject=barrier_id, undo=True, needs=ids)),)


def _chunks(instances: Sequence[RollbackInstance], size: int) -> list[Sequence[RollbackInstance]]:
    return [instances[start : start + size] for start in range(0, len(instances), max(1, size))]
