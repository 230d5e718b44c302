"""Refuses instances that no host can take, with the key of the fleet file that decides it. Pure."""

from collections.abc import Iterable

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.instances.placement.explain import PlacementRefusal
from unictl.instances.placement.place import Placement


def unplaceable_instances(planned_names: set[str], placement: Placement) -> Iterable[Finding]:
    for refusal in placement.refusals:
        if refusal.instance in planned_names:
            path = _deciding_path(refusal)
            prefix = "" if refusal.instance in refusal.text else f"{refusal.instance} cannot be on {refusal.host}: "
            hint = placement.smallest_changes.get(refusal.instance) or _HINTS.get(refusal.dimension, "")
            text, hint = prefix + refusal.text, hint.format(host=refusal.host)
            yield Finding(path=path, code=f"no-room-{refusal.dimension}", summary=text, hint=hint)


def _deciding_path(refusal: PlacementRefusal) -> DocumentPath:
    """The key of the fleet file that makes it so: of the service, or of the host that cannot be used."""
    service, dimension = ("services", refusal.instance.rpartition("-")[0]), refusal.dimension
    if dimension in ("drain", "lost"):
        return ("hosts", refusal.host, dimension)
    if dimension in ("require", "hosts", "apart_from"):
        return (*service, "placement", dimension)
    return (*service, dimension) if dimension in ("memory", "cpus", "ports", "hypervisor") else service


_HINTS = {
    "drain": "add a host, or take `drain` off {host}",
    "lost": "add a host, or take `lost` off {host} where it is back",
    "silent": "bring {host} back, or write `lost: true` for it where it is dead",
    "require": "label a host so, or change `placement.require`",
    "hosts": "change `placement.hosts`",
    "apart_from": "add a host, or change `placement.apart_from`",
}
"""What to do where no amount is what is missing."""
