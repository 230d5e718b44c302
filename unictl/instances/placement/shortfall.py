"""A shortfall: why one instance is not on one host, as a finding and as amounts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Why ``instance`` is not on ``host``.

    ``dimension`` is memory, cpus, disk, ports, apart_from, volume, hosts, or a word of ``feasibility.HostExclusion``;
    ``need`` and ``free`` are in bytes for memory and disk, else counts, and 0 where nothing is measured. ``host`` is
    empty where no host is concerned, ``instance`` a service's name where the ingress lacks a port of it. ``finding``
    says the same in words, at the key of the fleet file that decides it.
    """

    instance: str
    host: str
    dimension: str
    need: int = 0
    free: int = 0
    finding: Finding


def build_shortfall(
    instance: str, service: str, host: str, dimension: str, text: str, *, need: int = 0, free: int = 0
) -> Shortfall:
    """The shortfall of ``instance`` on ``host``, with its finding."""
    finding = Finding(
        path=_deciding_path(service, host, dimension),
        code=f"no-room-{dimension}",
        summary=text,
        hint=_HINTS.get(dimension, "").format(host=host),
    )
    return Shortfall(instance=instance, host=host, dimension=dimension, need=need, free=free, finding=finding)


def _deciding_path(service: str, host: str, dimension: str) -> DocumentPath:
    """The key of the fleet file that makes it so: of the service, or of the host that cannot be used."""
    service_path = ("services", service)
    if dimension in ("drain", "lost"):
        return ("hosts", host, dimension)
    if dimension in ("require", "hosts", "apart_from"):
        return (*service_path, "placement", dimension)
    if dimension in ("memory", "cpus", "ports", "hypervisor"):
        return (*service_path, dimension)
    return service_path


_HINTS: Mapping[str, str] = {
    "drain": "add a host, or take `drain` off {host}",
    "lost": "add a host, or take `lost` off {host} where it is back",
    "silent": "bring {host} back, or write `lost: true` for it where it is dead",
    "require": "label a host so, or change `placement.require`",
    "hosts": "change `placement.hosts`",
    "apart_from": "add a host, or change `placement.apart_from`",
}
"""What to do where no amount is what is missing."""
