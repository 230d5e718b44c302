"""Groups the changes of one service into waves: what is started and stopped together. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unictl.fleet.model import Service
from unictl.instances.desired.instance import Located
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import ENDS_A_REPLACEMENT
from unictl.plan.reconcile.classify import running
from unictl.plan.reconcile.reconcile import Work

MAKING = frozenset((Action.CREATE, Action.REPLACE, Action.MOVE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One name in a wave: ``before`` goes before ``new`` is launched, ``after`` once it has joined.

    ``ends``: what goes ends an earlier replacement, and takes nothing away.
    """

    name: str
    new: Located | None
    before: tuple[LiveInstance, ...] = ()
    after: tuple[LiveInstance, ...] = ()
    order: str = ""
    ends: bool = False

    @property
    def takes_down(self) -> bool:
        """Whether something that runs is stopped before its successor is there."""
        return any(running(live) for live in self.before)

    @property
    def replaces(self) -> bool:
        """Whether something that runs makes way, early or late."""
        return self.takes_down or bool(self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Items that are done together; ``number`` counts from 1 within the service."""

    service: str
    number: int
    items: tuple[Item, ...]
    canary: bool = False


def making(works: Iterable[Work]) -> tuple[Item, ...]:
    """What is started, with the generations of its name that make way for it."""
    return tuple(_item(work, work.change.new) for work in works if work.change.action in MAKING and work.change.new)


def unmaking(works: Iterable[Work]) -> tuple[Item, ...]:
    """What only goes: surplus instances, and twins of those that stay."""
    found = []
    for work in works:
        if work.change.action not in MAKING:
            gone = _destroyed((work.change, *work.twins))
            if gone:
                ends = work.change.action is not Action.DESTROY or work.change.reason in ENDS_A_REPLACEMENT
                found.append(Item(name=work.change.subject, new=None, after=gone, ends=ends))
    return tuple(found)


def _item(work: Work, new: Located) -> Item:
    change = work.change
    olds = (*((change.old,) if change.old else ()), *_destroyed(work.twins))
    wanted = set(new.wished.volumes.values())
    first = change.order == "stop-first"
    before = tuple(live for live in olds if first or _dead(live) or wanted & set(live.volumes))
    after = tuple(live for live in olds if live not in before)
    return Item(name=change.subject, new=new, before=before, after=after, order=change.order)


def _dead(live: LiveInstance) -> bool:
    """Whether it surely does not run; of one whose record cannot be read nobody knows."""
    return not running(live) and live.state != "damaged"


def _destroyed(rows: Iterable[Change]) -> tuple[LiveInstance, ...]:
    return tuple(row.old for row in rows if row.action is Action.DESTROY and row.old)


def waves(service: Service, items: Sequence[Item], *, missing: int) -> tuple[Wave, ...]:
    """The waves of a service: canaries, what replaces nobody, the create-first, the stop-first.

    ``missing``: replicas that are not there to be counted on.
    """
    late = [item for item in items if item.replaces and not item.takes_down]
    early = [item for item in items if item.takes_down]
    fresh = [item for item in items if not item.replaces]
    count = service.update.canary.of(service.replicas, up=True)
    side_by_side = max(1, service.update.max_parallel.of(service.replicas, up=True))
    down = max(1, min(may_be_down(service, missing), _unavailable(service)))
    canaries = _cut(late[:count], side_by_side) if late else _cut(early[:count], down)
    rest = [*_cut(late[count:], side_by_side), *_cut(early if late else early[count:], down)]
    return tuple(
        Wave(service=service.name, number=n, items=tuple(group), canary=n <= len(canaries))
        for n, group in enumerate([*canaries, *_cut(fresh, len(fresh)), *rest], 1)
    )


def may_be_down(service: Service, missing: int) -> int:
    """How many replicas a stop-first rollout may take down at once; 0 or less is a dead-lock."""
    floor = service.update.min_available
    available = floor.of(service.replicas, up=True) if floor else service.replicas - _unavailable(service)
    return service.replicas - available - missing


def _unavailable(service: Service) -> int:
    return max(1, service.update.max_parallel.of(service.replicas, up=False))


def _cut(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[at : at + size] for at in range(0, len(items), max(1, size))]
