"""Groups the changes of one service into waves: what is started and stopped together. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unictl.fleet.model import Service
from unictl.instances.desired.instance import PlacedInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import COMPLETES_REPLACEMENT
from unictl.plan.reconcile.classify import is_running
from unictl.plan.reconcile.reconcile import InstanceChange

STARTING_ACTIONS = frozenset((Action.CREATE, Action.REPLACE, Action.MOVE))


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveItem:
    """One name in a wave: ``stop_first`` goes before ``new`` is launched, ``stop_after`` once it has joined.

    ``completes_replacement``: what goes ends an earlier replacement, and takes nothing away.
    """

    name: str
    new: PlacedInstance | None
    stop_first: tuple[LiveInstance, ...] = ()
    stop_after: tuple[LiveInstance, ...] = ()
    order: str = ""
    completes_replacement: bool = False

    @property
    def causes_downtime(self) -> bool:
        """Whether something that runs is stopped before its successor is there."""
        return any(is_running(live) for live in self.stop_first)

    @property
    def replaces(self) -> bool:
        """Whether something that runs makes way, early or late."""
        return self.causes_downtime or bool(self.stop_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Items that are done together; ``number`` counts from 1 within the service."""

    service: str
    number: int
    items: tuple[WaveItem, ...]
    canary: bool = False


def starts(instance_changes: Iterable[InstanceChange]) -> tuple[WaveItem, ...]:
    """What is started, with the generations of its name that make way for it."""
    return tuple(
        _wave_item(instance_change, instance_change.change.new)
        for instance_change in instance_changes
        if instance_change.change.action in STARTING_ACTIONS and instance_change.change.new
    )


def removals(instance_changes: Iterable[InstanceChange]) -> tuple[WaveItem, ...]:
    """What only goes: surplus instances, and twins of those that stay."""
    items = []
    for instance_change in instance_changes:
        if instance_change.change.action not in STARTING_ACTIONS:
            removed = _destroyed_instances((instance_change.change, *instance_change.other_generations))
            if removed:
                completes_replacement = (
                    instance_change.change.action is not Action.DESTROY
                    or instance_change.change.reason in COMPLETES_REPLACEMENT
                )
                items.append(
                    WaveItem(
                        name=instance_change.change.subject,
                        new=None,
                        stop_after=removed,
                        completes_replacement=completes_replacement,
                    )
                )
    return tuple(items)


def _wave_item(instance_change: InstanceChange, placed: PlacedInstance) -> WaveItem:
    change = instance_change.change
    predecessors = (*((change.old,) if change.old else ()), *_destroyed_instances(instance_change.other_generations))
    volumes = set(placed.desired.volumes.values())
    is_stop_first = change.order == "stop-first"
    stop_first = tuple(live for live in predecessors if is_stop_first or _is_down(live) or volumes & set(live.volumes))
    stop_after = tuple(live for live in predecessors if live not in stop_first)
    return WaveItem(name=change.subject, new=placed, stop_first=stop_first, stop_after=stop_after, order=change.order)


def _is_down(live: LiveInstance) -> bool:
    """Whether it surely does not run; of one whose record cannot be read nobody knows."""
    return not is_running(live) and live.state != "damaged"


def _destroyed_instances(changes: Iterable[Change]) -> tuple[LiveInstance, ...]:
    return tuple(change.old for change in changes if change.action is Action.DESTROY and change.old)


def plan_waves(service: Service, items: Sequence[WaveItem], *, missing_replicas: int) -> tuple[Wave, ...]:
    """The waves of a service: canaries, what replaces nobody, the create-first, the stop-first.

    ``missing_replicas``: replicas that are not there to be counted on.
    """
    create_first = [item for item in items if item.replaces and not item.causes_downtime]
    stop_first = [item for item in items if item.causes_downtime]
    new_items = [item for item in items if not item.replaces]
    canary_count = service.update.canary.of(service.replicas, round_up=True)
    max_beside = max(1, service.update.max_parallel.of(service.replicas, round_up=True))
    max_down = max(1, min(max_unavailable(service, missing_replicas), _max_parallel(service)))
    canaries = (
        _chunks(create_first[:canary_count], max_beside)
        if create_first
        else _chunks(stop_first[:canary_count], max_down)
    )
    remaining_waves = [
        *_chunks(create_first[canary_count:], max_beside),
        *_chunks(stop_first if create_first else stop_first[canary_count:], max_down),
    ]
    return tuple(
        Wave(service=service.name, number=number, items=tuple(group), canary=number <= len(canaries))
        for number, group in enumerate([*canaries, *_chunks(new_items, len(new_items)), *remaining_waves], 1)
    )


def max_unavailable(service: Service, missing_replicas: int) -> int:
    """How many replicas a stop-first rollout may take down at once; 0 or less is a dead-lock."""
    floor = service.update.min_available
    available = floor.of(service.replicas, round_up=True) if floor else service.replicas - _max_parallel(service)
    return service.replicas - available - missing_replicas


def _max_parallel(service: Service) -> int:
    return max(1, service.update.max_parallel.of(service.replicas, round_up=False))


def _chunks(items: Sequence[WaveItem], size: int) -> list[Sequence[WaveItem]]:
    return [items[start : start + size] for start in range(0, len(items), max(1, size))]
