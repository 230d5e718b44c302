"""Reconciles desired and live state: which instances are kept, created, replaced, destroyed, held or unknown.
Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from unictl.instances.desired.instance import Located, Wished
from unictl.instances.launch.addresses import locate
from unictl.instances.observed.host_state import LiveInstance, Survey, World
from unictl.instances.placement.place import Placement, place
from unictl.plan.context.context import Situation
from unictl.plan.context.scope import Scope
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import Reason, volume_on
from unictl.plan.reconcile.classify import running
from unictl.plan.reconcile.decide import Verdict, renewed, verdict

_BARE_LOSS = "the volume was on a lost host, and accept_loss does not say that it may begin empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done about one name: its row, and the rows of its other generations.

    ``service`` is the one it belongs to after the plan; ``wished`` is None for what is only destroyed.
    """

    service: str
    change: Change
    twins: tuple[Change, ...] = ()
    wished: Wished | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All works: of wished instances in their order, then of surplus ones by name; and what placement said."""

    works: tuple[Work, ...]
    placement: Placement


def difference(s: Situation, scope: Scope, *, locating: bool = True) -> Difference:
    """What differs between live and wished, within ``scope``.

    Without ``locating`` hosts are chosen and nothing else: no port, no address, so no ``new`` in a change.
    """
    wished = () if s.options.destroy else tuple(w for w in s.wished if scope.wished(w))
    barred = {w.name: held for w in wished if (held := _unknowable(s, w))}
    # Who is chosen by its host goes where it goes when all are placed.
    placed = () if s.options.destroy else s.wished
    kept = tuple(w for w in placed if scope.placed or w.name in s.lives or scope.wished(w))
    there = tuple(w for w in kept if w.name not in barred)
    placement = place(s.fleet, there, s.world, replacing=s.options.replace, rebalance=s.options.rebalance)
    verdicts = [barred.get(w.name) or _verdict(s, w, placement, scope) for w in wished]
    located, verdicts = _locate(s, verdicts) if locating else ({}, verdicts)
    works = [_work(s, each, located) for each in verdicts]
    return Difference(works=(*works, *_outside(s, scope), *_surplus(s, scope)), placement=placement)


def _unknowable(s: Situation, wished: Wished) -> Verdict | None:
    """Where a silent or a lost host may have it, or its data: no step, or something would exist twice."""
    lives = s.lives.get(wished.name, ())
    old = lives[0] if lives else None
    unseen = [name for name in wished.volumes.values() if name not in s.volumes]
    if s.silent and (not lives or unseen):
        detail = f"{', '.join(s.silent)} {'does' if len(s.silent) == 1 else 'do'} not answer, and may have it"
        if lives:
            detail = f"volume {unseen[0]} may be on a host that does not answer"
        return _bare(Action.UNKNOWN, Reason.UNREACHABLE, wished, old, detail)
    host = next((h for name in unseen if (h := _lost_volume(s, name))), "")
    return _bare(Action.HELD, volume_on(host), wished, old, _BARE_LOSS) if host else None


def _lost_volume(s: Situation, name: str) -> str:
    """The lost host that may have had the volume; empty where none can, or where its loss is accepted."""
    declared = s.fleet.volumes.get(name) or s.fleet.volumes.get(name.rpartition("-")[0])
    if declared is None or declared.accept_loss or not s.lost:
        return ""
    return declared.host if declared.host in s.lost else "" if declared.host else min(s.lost)


def _bare(action: Action, reason: str, wished: Wished, old: LiveInstance | None, detail: str) -> Verdict:
    host = old.host if old else ""
    origin = ("services", wished.service)
    return Verdict(action=action, reason=reason, wished=wished, host=host, old=old, detail=detail, origin=origin)


def _verdict(s: Situation, wished: Wished, placement: Placement, scope: Scope) -> Verdict:
    host = placement.hosts.get(wished.name)
    lives = s.lives.get(wished.name, ())
    if host is None:
        old = next((live for live in lives if running(live)), None)
        return _bare(Action.HELD, Reason.NO_HOST, wished, old, "no host can take it")
    found = verdict(s, wished, host, forced=scope.forced(wished))
    if found.action is Action.MOVE and wished.name in placement.evened:
        found = replace(found, reason=Reason.MOVE_REBALANCE)
    if found.action is Action.KEEP and wished.name in placement.held:
        return replace(
            found,
            action=Action.HELD,
            reason=volume_on(host),
            detail=placement.held[wished.name],
            origin=("hosts", host),
        )
    return _ingress_known(s, found)


def _ingress_known(s: Situation, found: Verdict) -> Verdict:
    """An old one stays while an ingress that may route to it does not answer; nobody joins one written half blind."""
    old = found.old
    if found.action is Action.KEEP or found.action is Action.HELD:
        return found
    if s.opaque and found.wished.ports:
        return _bare(Action.HELD, Reason.INGRESS_UNKNOWN, found.wished, old, _blind(s))
    if old is None or not _routed(s, old):
        return found
    if found.action is Action.CREATE and not set(old.volumes) & set(found.wished.volumes.values()):
        return replace(found, old=None, rest=(old, *found.rest))
    return _bare(Action.HELD, Reason.INGRESS_UNKNOWN, found.wished, old, _blind(s))


def _routed(s: Situation, live: LiveInstance) -> bool:
    """Whether somebody who does not answer may send to it, or is behind the ingress that it would leave."""
    return bool(live.forwards) and live.state != "begun" and (s.opaque or bool(s.silent_ingresses()))


def _blind(s: Situation) -> str:
    names = s.silent_ingresses()
    if names:
        return f"the ingress of {', '.join(names)} may still send to it"
    return f"{', '.join(s.silent)}: who answers there is unknown, so no ingress is written anew"


def _locate(s: Situation, verdicts: list[Verdict]) -> tuple[Mapping[str, Located], list[Verdict]]:
    """Ports and addresses of all that is launched; a record that no longer fits makes way for a new generation."""
    located = _located(s, verdicts)
    misfits = {v.wished.name for v in verdicts if v.relaunched and not _fits(v.relaunched, located[v.wished.name])}
    if misfits:
        verdicts = [renewed(s, v) if v.wished.name in misfits else v for v in verdicts]
        located = _located(s, verdicts)
    return located, verdicts


def _located(s: Situation, verdicts: Sequence[Verdict]) -> Mapping[str, Located]:
    items = [(v.wished, v.host, v.launch) for v in verdicts if v.launch]
    if not items:
        return {}
    gone = {(v.relaunched.host, v.relaunched.key) for v in verdicts if v.relaunched}
    return locate(s.fleet, items, _without(s.world, gone), s.endpoints, s.facts, commit=s.commit)


def _without(world: World, gone: set[tuple[str, str]]) -> World:
    """The world without these records: what they hold is free for them to take again."""
    hosts = {host for host, _ in gone}
    return {
        host: replace(said, instances=tuple(i for i in said.instances if (host, i.key) not in gone))
        if host in hosts and isinstance(said, Survey)
        else said
        for host, said in world.items()
    }


def _fits(record: LiveInstance, located: Located) -> bool:
    return _listens(record.forwards) == _listens(located.forwards)


def _listens(forwards: Iterable[Mapping[str, object]]) -> Counter[tuple[object, ...]]:
    return Counter((f.get("name"), f.get("host"), f.get("bind"), bool(f.get("udp"))) for f in forwards)


def _work(s: Situation, found: Verdict, located: Mapping[str, Located]) -> Work:
    wished = found.wished
    new = _adopted(found) if found.adopted else located.get(wished.name)
    change = Change(
        action=found.action,
        subject=wished.name,
        reason=found.reason,
        host=found.old.host if found.old and found.action is not Action.CREATE else found.host,
        to_host=found.host if found.launch or found.adopted else "",
        service=wished.service,
        fields=found.fields,
        order=found.order,
        order_reason=found.order_reason,
        detail=found.detail,
        origin=found.origin,
        old=found.old,
        new=new,
    )
    twins = tuple(_twin(s, wished.name, wished.service, live) for live in found.rest)
    return Work(service=wished.service, change=change, twins=twins, wished=wished)


def _adopted(found: Verdict) -> Located | None:
    """What runs already, as something that is only proven: its document is empty, so nothing launches it."""
    live = found.adopted
    if live is None:
        return None
    return Located(
        wished=found.wished,
        host=live.host,
        launch=live.launch,
        generation=live.generation,
        forwards=live.forwards,
        resolved=live.resolved or {},
        document={},
    )


def _twin(s: Situation, name: str, service: str, live: LiveInstance) -> Change:
    leaving = live.state == "leaving"
    reason = Reason.LEAVING if leaving else Reason.TWIN
    detail = "" if leaving else f"launch {live.launch}; another generation of {name} stays"
    return _destroyed(s, name, service, live, reason, detail=detail)


def _destroyed(s: Situation, name: str, service: str, live: LiveInstance, reason: str, *, detail: str = "") -> Change:
    origin = ("services", service) if service in s.fleet.services else ()
    row = Change(
        action=Action.DESTROY,
        subject=name,
        reason=reason,
        host=live.host,
        service=service,
        detail=detail,
        origin=origin,
        old=live,
    )
    if _routed(s, live):
        return replace(row, action=Action.HELD, reason=Reason.INGRESS_UNKNOWN, detail=_blind(s))
    return row


def _outside(s: Situation, scope: Scope) -> Iterable[Work]:
    """Wished instances that the plan is not about: their rows say that they are kept, as members of the ingress."""
    if s.options.destroy:
        return
    for wished in s.wished:
        if not scope.wished(wished):
            for live in s.lives.get(wished.name, ()):
                yield Work(service=wished.service, change=_kept(wished.name, wished.service, live), wished=wished)


def _kept(name: str, service: str, live: LiveInstance) -> Change:
    return Change(action=Action.KEEP, subject=name, reason=Reason.KEPT, host=live.host, service=service, old=live)


def _surplus(s: Situation, scope: Scope) -> Iterable[Work]:
    wished = set() if s.options.destroy else {w.name for w in s.wished}
    names = (name for name in s.lives if name not in wished)
    for name in sorted(names, key=lambda name: (s.lives[name][0].service, s.lives[name][0].ordinal, name)):
        for live in s.lives[name]:
            if scope.live(live):
                change = _gone(s, name, live)
                yield Work(service=change.service, change=change)
            else:
                service = name.rpartition("-")[0]
                yield Work(service=service, change=_kept(name, service, live))


def _gone(s: Situation, name: str, live: LiveInstance) -> Change:
    service = name.rpartition("-")[0]
    declared = s.fleet.services.get(service)
    if s.options.destroy:
        reason = Reason.DESTROY_REQUESTED
    elif live.state == "leaving":
        reason = Reason.LEAVING
    else:
        reason = Reason.SCALED_DOWN if declared else Reason.NOT_IN_FLEET
    change = _destroyed(s, name, service, live, reason)
    if reason is Reason.SCALED_DOWN:
        change = replace(change, origin=("services", service, "replicas"))
    if live.protect and reason is not Reason.LEAVING:
        return replace(change, action=Action.HELD, reason=Reason.PROTECTED, detail=_wanted(reason))
    return change


def _wanted(reason: Reason) -> str:
    why = {
        Reason.NOT_IN_FLEET: "since the fleet file does not have it any more",
        Reason.SCALED_DOWN: "since its service has fewer replicas",
    }
    return f"it would be destroyed{', ' + why[reason] if reason in why else ''}"
