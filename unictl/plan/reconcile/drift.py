"""How a live instance differs from its desired instance, and which key of the fleet file caused it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from unictl.diagnostics.place import Path
from unictl.fleet.model import Fleet
from unictl.instances.desired.fingerprint import field_differences
from unictl.instances.desired.instance import Wished
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import Situation
from unictl.plan.model.change import Field
from unictl.plan.model.reason import Reason, replaced

_PART = re.compile(r"[^.\[\]]+")
_LOOPBACK = "127.0.0.1"
_ANY = ("0.0.0.0", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Why something is not left as it is."""

    reason: str = ""
    fields: tuple[Field, ...] = ()
    origin: Path = ()


def drift(s: Situation, wished: Wished, live: LiveInstance) -> Drift | None:
    """What of ``live`` differs from ``wished``, so that a new generation is needed; None where nothing does."""
    changed = _changed(s, wished, live) if live.fingerprint != wished.fingerprint else None
    if live.name != wished.name:
        fields = (Field(path="name", old=live.name, new=wished.name), *(changed.fields if changed else ()))
        return Drift(reason=Reason.RENAMED, fields=fields, origin=("services", wished.service, "was"))
    if changed:
        return changed
    if live.host not in s.fleet.hosts:
        return None
    return _endpoint(s, wished, live) or _address(s.fleet, live)


def _changed(s: Situation, wished: Wished, live: LiveInstance) -> Drift:
    """A spec is what its fingerprint says: of replicas that are alike, one is compared."""
    key = (wished.service, live.fingerprint if live.spec is not None else "", wished.fingerprint)
    known = s.drifts.get(key)
    if known is None:
        known = s.drifts[key] = _compared(s.fleet, wished, live)
    return known


def _compared(fleet: Fleet, wished: Wished, live: LiveInstance) -> Drift:
    found = field_differences(live.spec, wished.spec) if live.spec is not None else ()
    fields = tuple(Field(path=path, old=old, new=new) for path, old, new in found)
    heads = dict.fromkeys(_PART.findall(each.path)[0] for each in fields)
    reason = replaced(next(iter(heads))) if len(heads) == 1 else Reason.CONFIG
    return Drift(reason=reason, fields=fields, origin=_origin(fleet, wished, fields))


def _origin(fleet: Fleet, wished: Wished, fields: tuple[Field, ...]) -> Path:
    if not fields:
        return ("services", wished.service)
    head, *rest = (int(part) if part.isdecimal() else part for part in _PART.findall(fields[0].path))
    image = fleet.services[wished.service].image
    if head == "image" and image in fleet.images:
        return ("images", image, *rest)
    return ("services", wished.service, head, *rest)


def _endpoint(s: Situation, wished: Wished, live: LiveInstance) -> Drift | None:
    """An endpoint that it was given means something else by now: it cannot be told, so it is replaced."""
    if live.resolved is None:
        return None
    new = s.resolved(wished, live.host)
    old = {key: value for key, value in live.resolved.items() if key.startswith("service.")}
    if old == new:
        return None
    return Drift(reason=Reason.ENDPOINT, fields=_fields(old, new), origin=("services", wished.service, "args"))


def _fields(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Field, ...]:
    keys = sorted({*old, *new})
    return tuple(Field(path=key, old=old.get(key), new=new.get(key)) for key in keys if old.get(key) != new.get(key))


def _address(fleet: Fleet, live: LiveInstance) -> Drift | None:
    """Its ports listen where other hosts cannot reach them: the host's address changed, or there are more hosts now."""
    address = fleet.hosts[live.host].address
    alone = len(fleet.hosts) == 1
    good = {*_ANY, address or _LOOPBACK, *([_LOOPBACK] if alone else [])}
    for forward in live.forwards:
        bind = str(forward.get("bind", ""))
        if bind not in good:
            field = Field(path=f"address.{forward.get('name', '')}", old=bind, new=_LOOPBACK if alone else address)
            return Drift(reason=Reason.ADDRESS, fields=(field,), origin=("hosts", live.host, "address"))
    return None
