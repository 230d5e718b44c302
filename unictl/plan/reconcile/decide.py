"""Decides what to do about one desired instance, before ports and addresses are assigned. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from unictl.diagnostics.place import Path
from unictl.fleet.model import Order
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import Wished
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import Situation
from unictl.plan.model.change import Action, Field
from unictl.plan.model.reason import Reason
from unictl.plan.reconcile.classify import RUNNING, WISHED, Class, classify, ended, running, serving
from unictl.plan.reconcile.drift import Drift, drift

CREATE_FIRST = Order.CREATE_FIRST.value
STOP_FIRST = Order.STOP_FIRST.value
WAITS = "an earlier apply launched this and found it not healthy; -retry tries it again"
RETRIED = "an earlier apply found it not healthy; it is tried again, as asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done about one wished instance.

    ``launch``: the launch number of what is started; 0 where nothing is. ``relaunched`` is the record that is started
    (again), ``adopted`` what runs already and only has to pass its gate. ``rest``: other generations, which go.
    """

    action: Action
    reason: str
    wished: Wished
    host: str
    old: LiveInstance | None = None
    rest: tuple[LiveInstance, ...] = ()
    launch: int = 0
    relaunched: LiveInstance | None = None
    adopted: LiveInstance | None = None
    fields: tuple[Field, ...] = ()
    order: str = ""
    order_reason: str = ""
    detail: str = ""
    origin: Path = ()


Classed = tuple[tuple[LiveInstance, Class], ...]


def verdict(s: Situation, wished: Wished, host: str, *, forced: bool) -> Verdict:
    """What is to be done about ``wished`` on ``host``, where it is placed; what failed its gate waits for -retry."""
    found = _judged(s, wished, host, forced=forced)
    if not found.launch or forced or wished.fingerprint not in s.failed.get(wished.service, ()):
        return found
    if s.options.retry:
        return replace(found, detail="; ".join(filter(None, (found.detail, RETRIED))))
    return _waits(found)


def _waits(found: Verdict) -> Verdict:
    """What would be launched is not; a record of it goes where another generation stays."""
    record = found.relaunched
    rest = (*found.rest, record) if record and found.old else found.rest
    origin = found.origin or ("services", found.wished.service)
    return Verdict(
        action=Action.HELD,
        reason=Reason.FAILED_BEFORE,
        wished=found.wished,
        host=found.old.host if found.old else found.host,
        old=found.old or record,
        rest=rest,
        fields=found.fields,
        detail=WAITS,
        origin=origin,
    )


def _judged(s: Situation, wished: Wished, host: str, *, forced: bool) -> Verdict:
    lives = s.lives.get(wished.name, ())
    if len(lives) == 1 and not forced and _untainted(s, wished, host, lives[0]):
        return Verdict(action=Action.KEEP, reason=Reason.KEPT, wished=wished, host=host, old=lives[0])
    classed = tuple((live, _class(s, wished, host, live)) for live in _best_first(lives))
    fits = [live for live, kind in classed if kind in WISHED]
    if fits and not forced:
        return _stays(s, wished, host, fits[0], classed)
    alive = [live for live, kind in classed if kind in RUNNING]
    if alive:
        return _replaced(s, wished, host, alive[0], classed, forced=forced)
    return _started(s, wished, host, classed, forced=forced)


def next_launch(s: Situation, name: str, fingerprint: str) -> int:
    """1 + the highest launch number in any record of that name; beyond it where that generation's folder is there."""
    lives = [live for live in s.lives.get(name, ()) if live.name == name]
    number = 1 + max([s.retired.get(name, 0), *(live.launch for live in lives)])
    used = {live.generation for live in lives}
    while generation(fingerprint, number) in used:
        number += 1
    return number


def _untainted(s: Situation, wished: Wished, host: str, live: LiveInstance) -> bool:
    return live.state == "running" and _class(s, wished, host, live) is Class.UNTAINTED


def _class(s: Situation, wished: Wished, host: str, live: LiveInstance) -> Class:
    service = s.service(wished)
    done = service.kind == "job" or service.activation is not None
    return classify(live, host=host, differs=drift(s, wished, live) is not None, done=done)


def _best_first(lives: tuple[LiveInstance, ...]) -> list[LiveInstance]:
    """The proven before the rest, the newest of those first; the host breaks the tie."""
    return sorted(lives, key=lambda live: (not serving(live), -live.launch, live.host, live.generation))


def _stays(s: Situation, wished: Wished, host: str, best: LiveInstance, classed: Classed) -> Verdict:
    """One of the wished generation is there: kept where it is proven, else it has to pass its gate (again)."""
    rest = tuple(live for live, _ in classed if live is not best)
    if (best, Class.UNPROVEN) not in classed:
        return Verdict(action=Action.KEEP, reason=Reason.KEPT, wished=wished, host=host, old=best, rest=rest)
    detail = "launched by an earlier apply, and never seen healthy: it has to pass its gate from the beginning"
    old = next((live for live in rest if serving(live)), None)
    if old is None:
        return _verdict(Action.CREATE, Reason.BEGUN, s, wished, host, rest=rest, adopted=best, detail=detail)
    why = drift(s, wished, old) or Drift(reason=Reason.MOVE_PLACEMENT)
    others = tuple(live for live in rest if live is not old)
    action = Action.REPLACE if old.host == host else Action.MOVE
    return _verdict(action, why.reason, s, wished, host, old=old, rest=others, adopted=best, why=why, detail=detail)


def _replaced(s: Situation, wished: Wished, host: str, old: LiveInstance, classed: Classed, *, forced: bool) -> Verdict:
    rest = tuple(live for live, _ in classed if live is not old)
    why = drift(s, wished, old)
    action = Action.REPLACE
    if old.host != host:
        if old.protect:
            return _barred(s, wished, host, old, rest)
        action, moved = Action.MOVE, _move(s, old)
        why = Drift(reason=moved.reason, fields=why.fields if why else (), origin=moved.origin)
    elif why is None or forced:
        why = Drift(reason=Reason.REQUESTED, fields=why.fields if why else ())
    record = None if forced else _record(s, wished, host, classed)
    if record is None:
        return _fresh(action, s, wished, host, old=old, rest=rest, why=why)
    rest = tuple(live for live in rest if live is not record)
    given = {
        "relaunched": record,
        "launch": record.launch,
        "detail": "its launch was begun by an earlier apply, and goes on",
    }
    return _verdict(action, "", s, wished, host, old=old, rest=rest, why=why, **given)


def _record(s: Situation, wished: Wished, host: str, classed: Classed) -> LiveInstance | None:
    """What was recorded as it is wished, where it is wished, and does not run: it only has to be started."""
    started = ((live, kind) for live, kind in classed if kind in (Class.BEGUN, Class.LOST))
    return next((live for live, _ in started if _same_record(s, wished, host, live)), None)


def _barred(s: Situation, wished: Wished, host: str, old: LiveInstance, rest: tuple[LiveInstance, ...]) -> Verdict:
    """A move that must not be: the instance is protected where it runs."""
    detail = f"it would move to {host}"
    why = Drift(reason=Reason.PROTECTED, origin=("services", wished.service, "protect"))
    return _verdict(Action.HELD, "", s, wished, old.host, old=old, rest=rest, detail=detail, why=why)


def _move(s: Situation, old: LiveInstance) -> Drift:
    host = s.fleet.hosts.get(old.host)
    if host is not None and host.drain:
        return Drift(reason=Reason.MOVE_DRAIN, origin=("hosts", old.host, "drain"))
    return Drift(reason=Reason.MOVE_PLACEMENT)


def _started(s: Situation, wished: Wished, host: str, classed: Classed, *, forced: bool) -> Verdict:
    """Nothing of it runs: what was recorded is started (again), or a new generation is."""
    live = None if forced else _record(s, wished, host, classed)
    if live is not None:
        reason = Reason.BEGUN if live.state == "begun" else Reason.REBOOTED
        rest = tuple(other for other, _ in classed if other is not live)
        return _verdict(Action.CREATE, reason, s, wished, host, rest=rest, relaunched=live, launch=live.launch)
    if not classed:
        return _fresh(Action.CREATE, s, wished, host, why=Drift(reason=Reason.NEW))
    dead, kind = classed[0]
    rest = tuple(live for live, _ in classed[1:])
    return _repaired(s, wished, host, dead, kind, rest)


def _same_record(s: Situation, wished: Wished, host: str, live: LiveInstance) -> bool:
    return live.name == wished.name and live.host == host and drift(s, wished, live) is None


def _repaired(
    s: Situation, wished: Wished, host: str, dead: LiveInstance, kind: Class, rest: tuple[LiveInstance, ...]
) -> Verdict:
    how = f"it ended: {ended(dead)}" if kind is Class.CRASHED else ""
    if kind is Class.LEAVING:
        rest, why = (dead, *rest), Drift(reason=Reason.NEW)
        return _fresh(Action.CREATE, s, wished, host, rest=rest, why=why, detail="an earlier one is on its way out")
    if kind is Class.DAMAGED:
        why = Drift(reason=Reason.DAMAGED)
        return _fresh(Action.REPLACE, s, wished, host, old=dead, rest=rest, why=why, detail="its record cannot be read")
    changed = drift(s, wished, dead)
    if changed is None and kind is Class.CRASHED and not dead.proven and not s.options.retry:
        detail = f"this launch failed before it was ever healthy ({ended(dead)}); -retry tries it again"
        return _verdict(Action.HELD, Reason.FAILED_BEFORE, s, wished, host, old=dead, rest=rest, detail=detail)
    if changed is None:
        reason = Reason.CRASHED if kind is Class.CRASHED else Reason.REBOOTED
        return _fresh(Action.CREATE, s, wished, host, old=dead, rest=rest, why=Drift(reason=reason), detail=how)
    return _fresh(Action.REPLACE, s, wished, host, old=dead, rest=rest, why=changed, detail=how)


def _fresh(action: Action, s: Situation, wished: Wished, host: str, **given: Any) -> Verdict:
    """A verdict that starts a new generation."""
    return _verdict(action, "", s, wished, host, launch=next_launch(s, wished.name, wished.fingerprint), **given)


def renewed(s: Situation, found: Verdict) -> Verdict:
    """A relaunch whose record no longer fits (another holds its port): a new generation, and the record goes."""
    record = found.relaunched
    assert record is not None, found.wished.name
    return replace(
        found,
        old=found.old or record,
        rest=(*found.rest, record) if found.old else found.rest,
        relaunched=None,
        launch=next_launch(s, found.wished.name, found.wished.fingerprint),
        detail="what it was recorded with is no longer free",
    )


def _verdict(
    action: Action,
    reason: str,
    s: Situation,
    wished: Wished,
    host: str,
    *,
    why: Drift | None = None,
    old: LiveInstance | None = None,
    **given: Any,
) -> Verdict:
    why = why or Drift()
    replacing = action in (Action.REPLACE, Action.MOVE)
    order, order_reason = order_of(s, wished, old) if replacing and old else ("", "")
    return Verdict(
        action=action,
        reason=reason or why.reason,
        wished=wished,
        host=host,
        old=old,
        fields=why.fields,
        origin=why.origin or ("services", wished.service),
        order=order,
        order_reason=order_reason,
        **given,
    )


def order_of(s: Situation, wished: Wished, old: LiveInstance) -> tuple[str, str]:
    """Which of old and new goes first, and why."""
    shared = sorted(set(old.volumes) & set(wished.volumes.values()))
    if shared:
        return STOP_FIRST, f"volume {shared[0]} has one user at a time"
    if old.state == "damaged":
        return (STOP_FIRST, "it may hold the volume") if wished.volumes else (CREATE_FIRST, "")
    if not running(old):
        return STOP_FIRST, "the old one does not run"
    if s.service(wished).update.order is Order.STOP_FIRST:
        return STOP_FIRST, "the service asks for it"
    return CREATE_FIRST, ""
