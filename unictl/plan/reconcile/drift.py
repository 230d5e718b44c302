"""How a live instance differs from its desired instance, and which key of the fleet file caused it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Fleet
from unictl.instances.desired.fingerprint import field_differences
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import PlanContext
from unictl.plan.model.change import Field
from unictl.plan.model.reason import Reason, replace_because

_PATH_PART = re.compile(r"[^.\[\]]+")
_LOOPBACK = "127.0.0.1"
_WILDCARD_ADDRESSES = ("0.0.0.0", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Why something is not left as it is."""

    reason: str = ""
    fields: tuple[Field, ...] = ()
    origin: DocumentPath = ()


def find_drift(context: PlanContext, desired: DesiredInstance, live: LiveInstance) -> Drift | None:
    """What of ``live`` differs from ``desired``, so that a new generation is needed; None where nothing does."""
    spec_drift = _spec_drift(context, desired, live) if live.fingerprint != desired.fingerprint else None
    if live.name != desired.name:
        fields = (Field(path="name", old=live.name, new=desired.name), *(spec_drift.fields if spec_drift else ()))
        return Drift(reason=Reason.RENAMED, fields=fields, origin=("services", desired.service, "was"))
    if spec_drift:
        return spec_drift
    if live.host not in context.fleet.hosts:
        return None
    return _endpoint_drift(context, desired, live) or _address_drift(context.fleet, live)


def _spec_drift(context: PlanContext, desired: DesiredInstance, live: LiveInstance) -> Drift:
    """A spec is what its fingerprint says: of replicas that are alike, one is compared."""
    key = (desired.service, live.fingerprint if live.spec is not None else "", desired.fingerprint)
    cached = context.drift_cache.get(key)
    if cached is None:
        cached = context.drift_cache[key] = _compare_specs(context.fleet, desired, live)
    return cached


def _compare_specs(fleet: Fleet, desired: DesiredInstance, live: LiveInstance) -> Drift:
    differences = field_differences(live.spec, desired.spec) if live.spec is not None else ()
    fields = tuple(Field(path=path, old=old, new=new) for path, old, new in differences)
    top_level_keys = dict.fromkeys(_PATH_PART.findall(field.path)[0] for field in fields)
    reason = replace_because(next(iter(top_level_keys))) if len(top_level_keys) == 1 else Reason.CONFIG
    return Drift(reason=reason, fields=fields, origin=_field_origin(fleet, desired, fields))


def _field_origin(fleet: Fleet, desired: DesiredInstance, fields: tuple[Field, ...]) -> DocumentPath:
    if not fields:
        return ("services", desired.service)
    key, *subkeys = (int(part) if part.isdecimal() else part for part in _PATH_PART.findall(fields[0].path))
    image = fleet.services[desired.service].image
    if key == "image" and image in fleet.images:
        return ("images", image, *subkeys)
    return ("services", desired.service, key, *subkeys)


def _endpoint_drift(context: PlanContext, desired: DesiredInstance, live: LiveInstance) -> Drift | None:
    """An endpoint that it was given means something else by now: it cannot be told, so it is replaced."""
    if live.resolved is None:
        return None
    new = context.resolved_references(desired, live.host)
    old = {key: value for key, value in live.resolved.items() if key.startswith("service.")}
    if old == new:
        return None
    return Drift(reason=Reason.ENDPOINT, fields=_changed_fields(old, new), origin=("services", desired.service, "args"))


def _changed_fields(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Field, ...]:
    keys = sorted({*old, *new})
    return tuple(Field(path=key, old=old.get(key), new=new.get(key)) for key in keys if old.get(key) != new.get(key))


def _address_drift(fleet: Fleet, live: LiveInstance) -> Drift | None:
    """Its ports listen where other hosts cannot reach them: the host's address changed, or there are more hosts now."""
    address = fleet.hosts[live.host].address
    is_single_host = len(fleet.hosts) == 1
    reachable_binds = {*_WILDCARD_ADDRESSES, address or _LOOPBACK, *([_LOOPBACK] if is_single_host else [])}
    for forward in live.forwards:
        bind = str(forward.get("bind", ""))
        if bind not in reachable_binds:
            field = Field(
                path=f"address.{forward.get('name', '')}", old=bind, new=_LOOPBACK if is_single_host else address
            )
            return Drift(reason=Reason.ADDRESS, fields=(field,), origin=("hosts", live.host, "address"))
    return None
