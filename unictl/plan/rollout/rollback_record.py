"""The record of a wave in the plan, with what rolls it back: decided while planning, not while applying. Pure.

A rollback launches the previous specification again as a new generation, on the host and ports of the old instance,
which are free once that is gone. It needs no more capacity than the rollout: there the new instance ran beside the
old, here the old runs beside the new, never more of them at once.
"""

from collections.abc import Mapping
from typing import Any

from unictl.fleet.model import Service
from unictl.fleet.references import references
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import Located
from unictl.instances.desired.spec import texts
from unictl.instances.launch.document import anew
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import Situation
from unictl.plan.ingress.members import Roster, member
from unictl.plan.reconcile.classify import serving
from unictl.plan.rollout import step_factory
from unictl.plan.rollout.waves import Item, Wave, may_be_down


def describe(s: Situation, service: Service, wave: Wave, roster: Roster, olds: Mapping[str, LiveInstance]) -> Any:
    """A wave for the plan: who is in it, and what takes it back. ``olds``: who each of them replaces.

    Of ``undo``: ``revert``, whether it goes back where a later one fails; ``servers``, how the old ones stand behind an
    ingress; ``remove``, the new generations; ``fresh``, those of them in whose place nothing was, ``found`` those
    that are there already; ``back``, what is launched anew; ``stays``: who is new for good once it is done, and why;
    ``down`` and ``beside``, how many are replaced at once; ``line``, all of it for people.
    """
    back: list[dict[str, Any]] = []
    stays: dict[str, str] = {}
    fresh = [item.new.key for item in wave.items if item.new and item.name not in olds and service.kind != "job"]
    # A job is not run again because something after it failed: what it did is done.
    for item in wave.items if service.kind != "job" else ():
        old = olds.get(item.name)
        if old is not None and item.new is not None:
            why = _barred(old, item.new)
            if why:
                stays[item.name] = why
            elif _of_use(item, old):
                back.append(_back(s, service, roster, item, old))
    undo = {
        "revert": service.update.auto_revert,
        "servers": {
            old.key: roster.rows(member(s.fleet, old))
            for item in wave.items
            if (old := olds.get(item.name)) and serving(old) and old.forwards
        },
        "remove": [item.new.key for item in wave.items if item.new],
        "fresh": fresh,
        "found": _found(s, wave),
        "back": back,
        "stays": stays,
        "down": max(1, may_be_down(service, 0)),
        "beside": max(1, service.update.max_parallel.of(service.replicas, up=True)),
    }
    return {
        "service": wave.service,
        "wave": wave.number,
        "instances": [item.name for item in wave.items],
        "canary": wave.canary,
        "drain": service.update.drain,
        "progress_deadline": service.update.progress_deadline,
        "with": sorted(_with(s, service)),
        "undo": {**undo, "line": _line(wave, undo)},
    }


def _found(s: Situation, wave: Wave) -> list[str]:
    """The new generations that an earlier apply recorded or launched."""
    known = {live.key for item in wave.items for live in s.lives.get(item.name, ())}
    return [item.new.key for item in wave.items if item.new and item.new.key in known]


def _with(s: Situation, service: Service) -> set[str]:
    """The services it needs or is told the endpoints of: old and new of them may not go together."""
    told = (ref.name.partition(".")[0] for text in texts(service) for ref in references(text) if ref.kind == "service")
    return {name for name in (*service.needs, *told) if name in s.fleet.services and name != service.name}


def _of_use(item: Item, old: LiveInstance) -> bool:
    """Whether taking it back can mean more than to remove the new one: not where old and new are the same, side by
    side, nor where the old one did not serve."""
    assert item.new is not None, item.name
    return old.fingerprint != item.new.wished.fingerprint or (old in item.before and serving(old))


def _barred(old: LiveInstance, new: Located) -> str:
    """Why what ``old`` was cannot come back; empty where it can."""
    if old.name != new.wished.name:
        return "it has a new name"
    if old.fingerprint == new.wished.fingerprint:
        return "" if new.document else "it is what it was"
    if old.state == "damaged" or not old.launched or not old.spec:
        return "the old launch is not known"
    if not old.proven:
        return "the old one was never healthy"
    lost = _lost_secrets(old.spec.get("secrets", {}), new.wished.spec.get("secrets", {}))
    return f"secret {lost} has another version now" if lost else ""


def _lost_secrets(old: Mapping[str, int], new: Mapping[str, int]) -> str:
    """A secret of the old one whose value nobody can read any more."""
    return min((name for name, version in old.items() if new.get(name) != version), default="")


def _back(s: Situation, service: Service, roster: Roster, item: Item, old: LiveInstance) -> dict[str, Any]:
    new = item.new
    assert new is not None, item.name
    differs = old.fingerprint != new.wished.fingerprint
    document = _document(old) if differs else dict(new.document)
    launched = anew(document, s.fleet.owner, _launch(s, old, new, document["fingerprint"]))
    there: LiveInstance | Located = old if differs else new
    key = f"{launched['name']}.{launched['generation']}"
    return {
        "name": item.name,
        "new": new.key,
        "old": old.key,
        "stop": old in item.before,
        "differs": differs,
        "key": key,
        "host": there.host,
        "document": launched,
        "secrets": list(launched["run"]["secrets"]),
        "proof": step_factory.proof(service, key, there.forwards),
        "servers": {name: {**row, "name": key} for name, row in roster.rows(member(s.fleet, there)).items()},
    }


def _document(old: LiveInstance) -> dict[str, Any]:
    """The launch document that ``old`` was started from, of what its record says."""
    launched = old.launched or {}
    return {
        "name": old.name,
        "generation": old.generation,
        "service": old.service,
        "ordinal": old.ordinal,
        "launch": old.launch,
        "fingerprint": old.fingerprint,
        "spec": old.spec,
        "resolved": dict(old.resolved or {}),
        "commit": old.commit,
        "protect": old.protect,
        "restart": launched["restart"],
        "run": launched["run"],
    }


def _launch(s: Situation, old: LiveInstance, new: Located, fingerprint: str) -> int:
    """A launch number that no record of the name has or will have by then."""
    lives = s.lives.get(new.wished.name, ())
    number = 1 + max(new.launch, old.launch, s.retired.get(old.name, 0), *(live.launch for live in lives))
    used = {new.generation, *(live.generation for live in lives)}
    while generation(fingerprint, number) in used:
        number += 1
    return number


def _line(wave: Wave, undo: Mapping[str, Any]) -> str:
    """``wave 2 of api: api-1 goes back to what api-1.7f3c9a1b is, launched anew beside the new one``."""
    returning = [row for row in undo["back"] if row["differs"]]
    parts = []
    if returning and undo["revert"]:
        how = "once the new one has gone" if any(row["stop"] for row in returning) else "beside the new one"
        parts.append(f"{_return(returning)}, launched anew {how}")
    elif returning:
        parts.append("stays as it is once it is done (auto_revert is false)")
    parts += [f"{name} stays new once it is done: {why}" for name, why in undo["stays"].items()]
    if undo["fresh"]:
        parts.append(f"{len(undo['fresh'])} new removed")
    if any(row["document"]["run"]["volumes"] for row in returning):
        parts.append("the data in volumes is not turned back")
    return f"wave {wave.number} of {wave.service}: {'; '.join(parts) or 'the old ones stay'}"


def _return(rows: list[dict[str, Any]]) -> str:
    names = [str(row["name"]) for row in rows]
    if len(names) == 1:
        return f"{names[0]} goes back to what {rows[0]['old']} is"
    return f"{names[0]} to {names[-1]} ({len(names)}) go back to what they are now"
