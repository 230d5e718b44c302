"""Instance changes -> waves -> steps: what is done in which order, and what waits for what. Pure.

Create-first: stage, launch, health gate, join every ingress, the old instance leaves every ingress, retire it.
Stop-first: leave, retire, launch, health gate, join. Edges between services go through barriers only.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unictl.fleet.model import Service
from unictl.instances.desired.instance import Located
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import Situation
from unictl.plan.ingress.members import Membership, Place, member, routed
from unictl.plan.model.change import Action
from unictl.plan.model.step import Kind
from unictl.plan.reconcile.reconcile import Work
from unictl.plan.rollout import step_factory, volume_handover
from unictl.plan.rollout.builder import Draft, Ids, step
from unictl.plan.rollout.ingress_members import ingress_hosts, rosters, stop_ingress, superfluous_ingresses
from unictl.plan.rollout.rollback_record import describe
from unictl.plan.rollout.service_order import by_needs, nearest
from unictl.plan.rollout.waves import Item, Wave, making, unmaking, waves


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The steps (not yet ordered), the waves as told, and the ingress before the first step and after the last.

    ``tangled``: what it cannot do.
    """

    draft: Draft
    waves: tuple[Mapping[str, Any], ...]
    before: Membership
    after: Membership
    ingresses: tuple[str, ...]
    tangled: tuple[volume_handover.Tangle, ...] = ()


def rollout(s: Situation, works: Sequence[Work]) -> Rollout:
    """Everything that is done about ``works``."""
    return _Rollout(s, works).all()


class _Rollout:
    """A rollout while it is being made: members per service as of the steps so far, and what stands for what."""

    def __init__(self, s: Situation, works: Sequence[Work]):
        self.s = s
        self.draft = Draft()
        self.ingresses = ingress_hosts(s)
        self.files = step_factory.files(s.facts)
        self.stops = superfluous_ingresses(s)
        self.works: defaultdict[str, list[Work]] = defaultdict(list)
        for work in works:
            self.works[work.service].append(work)
        self.rosters = rosters(s)
        self.healthy: dict[str, Ids] = {}
        self.ended: dict[str, Ids] = {}
        self.early: dict[str, Ids] = {}
        self.gone: dict[str, Ids] = {}
        self.retired: dict[Place, str] = {}
        self.holders = volume_handover.holders(s, works)
        self.late = volume_handover.late(works, self.holders)
        self.told: list[Mapping[str, Any]] = []
        self.tangled: list[volume_handover.Tangle] = []

    def all(self) -> Rollout:
        before = self._membership()
        order = by_needs(self.s.fleet, self.late)
        extinct = tuple(sorted(name for name in self.works if name not in self.s.fleet.services))
        going = {name: unmaking(self.works.get(name, ())) for name in (*order, *extinct)}
        for name in (*order, *extinct):
            self._make_way(name, going[name])
        for name in order:
            self._make(self.s.fleet.services[name])
        self._unmake(order, extinct, going)
        return Rollout(
            draft=self.draft,
            waves=tuple(self.told),
            before=before,
            after=self._membership(),
            ingresses=self.ingresses,
            tangled=tuple(each for each in self.tangled if (each.holder, each.host) in self.retired),
        )

    def _make(self, service: Service) -> None:
        """All waves of a service, one after the other, once what it needs is healthy."""
        items = making(self.works.get(service.name, ()))
        if not items:
            return
        olds = {work.change.subject: work.change.old for work in self.works[service.name] if work.change.old}
        ended = self._start(service)
        joined: Ids = ()
        for wave in waves(service, items, missing=self._missing(service)):
            self.told.append(describe(self.s, service, wave, self.rosters[service.name], olds))
            joined, ended = self._wave(service, wave, ended)
        self.healthy[service.name] = joined
        self.ended[service.name] = ended

    def _start(self, service: Service) -> Ids:
        """What stands before its first launch: the services it needs that this plan makes, as few as say it all."""
        needs = nearest(self.s.fleet, service, self.healthy)
        ends = [i for need in needs for i in self._healthy(need)]
        return self.draft.barrier(f"start:{service.name}", (*self.early.get(service.name, ()), *ends), service.name)

    def _healthy(self, name: str) -> Ids:
        """What stands for "all that is made of a service is proven and joined"."""
        return self.draft.barrier(f"healthy:{name}", self.healthy.get(name, ()), name)

    def _missing(self, service: Service) -> int:
        return sum(work.change.action is Action.UNKNOWN for work in self.works.get(service.name, ()))

    def _wave(self, service: Service, wave: Wave, needs: Ids) -> tuple[Ids, Ids]:
        """One wave; what stands for "all proven and joined", and for its end."""
        name, n = service.name, wave.number
        brought = {i.name: step_factory.brought(self.draft, self.s, self.files, i.new) for i in wave.items if i.new}
        clear = self._clear(wave, needs, brought)
        proven = [self._started(service, wave, item, (*needs, *brought[item.name]), clear) for item in wave.items]
        ready = self.draft.barrier(f"proven:{name}:{n}", proven, name, n)
        for item in wave.items:
            if item.new:
                self.rosters[name].join(item.new.host, member(self.s.fleet, item.new))
        joined = self._ingress(Kind.JOIN, name, n, ready)
        return joined, self._finish(wave, joined)

    def _clear(self, wave: Wave, needs: Ids, brought: Mapping[str, Ids]) -> dict[str, Ids]:
        """What goes before its successor is launched: out of the ingress, then down; by item."""
        going = [(item, live) for item in wave.items for live in item.before]
        if not going:
            return {}
        name, n = wave.service, wave.number
        here = dict.fromkeys(i for item, _ in going for i in brought.get(item.name, ()))
        staged = self.draft.barrier(f"staged:{name}:{n}", here, name, n)
        left = self._leave(name, n, [live for _, live in going], (*needs, *staged))
        found: dict[str, Ids] = {}
        for item, live in going:
            found[item.name] = (*found.get(item.name, ()), self._retire(live, name, n, left))
        return found

    def _started(self, service: Service, wave: Wave, item: Item, needs: Ids, clear: Mapping[str, Ids]) -> str:
        new = item.new
        assert new is not None, item.name
        before = (*needs, *clear.get(item.name, ()), *self._freed(new, item))
        if new.document:
            before = (step_factory.launch(self.draft, new, wave.number, before),)
        return step_factory.prove(self.draft, service, new, wave.number, before)

    def _freed(self, new: Located, item: Item) -> Ids:
        """The end of whoever else holds its volumes and goes in this plan."""
        own = {(live.key, live.host) for live in item.before}
        found: list[str] = []
        for volume in new.wished.volumes.values():
            for key, host in self.holders.get(volume, ()):
                if (key, host) in own:
                    continue
                if (key, host) in self.retired:
                    found.append(self.retired[key, host])
                else:
                    self.tangled.append(volume_handover.Tangle(volume=volume, new=new, holder=key, host=host))
        return tuple(found)

    def _finish(self, wave: Wave, joined: Ids) -> Ids:
        """The old ones leave and go."""
        olds = [live for item in wave.items for live in item.after]
        name, n = wave.service, wave.number
        if not olds:
            return self.draft.barrier(f"wave:{name}:{n}", joined, name, n)
        left = self._leave(name, n, olds, joined)
        retired = [self._retire(live, name, n, left) for live in olds]
        return self.draft.barrier(f"wave:{name}:{n}", retired, name, n)

    def _make_way(self, name: str, items: Sequence[Item]) -> None:
        """What goes first of all: twins of who stays, and who holds a volume that something new is to have."""
        early = [live for item in items for live in item.after if item.ends or self._holds(live)]
        if early:
            self.early[name] = self._leave(name, 0, early, ())
            for live in early:
                self._retire(live, name, 0, self.early[name])

    def _holds(self, live: LiveInstance) -> bool:
        return any((live.key, live.host) in self.holders.get(name, ()) for name in live.volumes)

    def _unmake(self, order: Sequence[str], extinct: Sequence[str], going: Mapping[str, tuple[Item, ...]]) -> None:
        """What only goes, once all that stays is there; who needs another goes before it."""
        made = [i for name in order for i in self._healthy(name)] if any(going[name] for name in extinct) else []
        everything = self.draft.barrier("healthy:*", made)
        for name in extinct:
            self._go(name, going[name], (*self._ended(name), *everything))
        needed_by = self._needed_by(going)
        for name in reversed(order):
            first = (i for who in needed_by.get(name, ()) for i in self._gone(who))
            self._go(name, going[name], (*self._ended(name), *self.draft.barrier(f"unneeded:{name}", first, name)))

    def _ended(self, name: str) -> Ids:
        """What stands for all that was done about a service so far."""
        return self.ended.get(name) or self.early.get(name, ())

    def _needed_by(self, going: Mapping[str, tuple[Item, ...]]) -> Mapping[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name, service in sorted(self.s.fleet.services.items()):
            for need in service.needs if going.get(name) else ():
                found[need].append(name)
        return found

    def _go(self, name: str, items: Sequence[Item], needs: Ids) -> None:
        olds = [live for item in items for live in item.after if (live.key, live.host) not in self.retired]
        if not olds:
            return
        n = 1 + sum(1 for wave in self.told if wave["service"] == name)
        left = self._leave(name, n, olds, needs)
        self.gone[name] = tuple(self._retire(live, name, n, left) for live in olds)

    def _gone(self, name: str) -> Ids:
        """What stands for the end of all that goes of a service."""
        return self.draft.barrier(f"gone:{name}", self.gone.get(name, ()), name)

    def _leave(self, name: str, wave: int, olds: Sequence[LiveInstance], needs: Ids) -> Ids:
        """Out of every ingress; what stands for that, or ``needs`` where no ingress knows them."""
        for live in olds:
            self.rosters[name].leave(live.host, live.key)
        if not self.rosters[name].routed or not any(live.forwards for live in olds):
            return self.draft.barrier(f"ready:{name}:{wave}", needs, name, wave)
        left = self._ingress(Kind.LEAVE, name, wave, (*needs, *self._stop()))
        return self.draft.barrier(f"left:{name}:{wave}", left, name, wave)

    def _ingress(self, kind: Kind, name: str, wave: int, needs: Ids) -> Ids:
        """The ingress of every host as it is to be now, for one service; ``needs`` where it has no listeners."""
        service = self.s.fleet.services.get(name)
        joins_none = kind is Kind.JOIN and service is not None and not routed(service)
        if not self.ingresses or joins_none:
            return needs
        rows = self.rosters[name].listeners()
        data: dict[str, Any] = {"services": {name: rows}}
        if kind is Kind.LEAVE:
            data["drain"] = service.update.drain if service else step_factory.GRACE
        return tuple(self._write(kind, host, name, wave, needs, data) for host in self.ingresses)

    def _stop(self) -> Ids:
        """The end of ingresses on hosts that are to have none: nobody goes while one of them may send to him."""
        ends = (stop_ingress(self.draft, host) for host in self.stops)
        return self.draft.barrier("stopped:ingress", ends)

    def _write(self, kind: Kind, host: str, name: str, wave: int, needs: Ids, data: Mapping[str, Any]) -> str:
        id_ = f"{kind.value}:{host}:{name}:{wave}"
        elsewhere = {f"join:{other}:{name}:{wave}" for other in self.ingresses if other != host}
        needs = tuple(need for need in needs if need not in elsewhere)
        id_ = self.draft.free(id_, "after")
        return self.draft.add(step(id_, kind, host, needs, data, subject=name, service=name, wave=wave))

    def _retire(self, live: LiveInstance, name: str, wave: int, needs: Ids) -> str:
        found = step_factory.retire(self.draft, self.s, live, name, wave, needs)
        self.retired[live.key, live.host] = found
        return found

    def _membership(self) -> Membership:
        """The members of every service now. Of a fleet that goes, only of what is still there."""
        rows = {name: roster.listeners() for name, roster in sorted(self.rosters.items())}
        return {name: found for name, found in rows.items() if found}
