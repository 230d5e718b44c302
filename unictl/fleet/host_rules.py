"""Rules for hosts and networks, and for where services and volumes can be placed. Pure."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path
from unictl.fleet.connect_url import text_of
from unictl.fleet.model import Fleet, Host, Network, Placement, Service
from unictl.fleet.names import closest, listed, there_are
from unictl.fleet.quantities import memory_text
from unictl.fleet.selection import host_labels, selected_hosts


def hosts(fleet: Fleet) -> Iterator[Finding]:
    """There are hosts, they are told apart, and they reach each other."""
    if fleet.services and not fleet.hosts:
        hint = "Add `hosts: {here: {connect: local}}`."
        text = "the fleet has services and no host to run them on"
        yield Finding(path=("services",), code="no-hosts", text=text, hint=hint, about_key=True, among="hosts")
    connects: dict[str, str] = {}
    addresses: dict[str, str] = {}
    for name in sorted(fleet.hosts):
        host = fleet.hosts[name]
        path: Path = ("hosts", name)
        yield from _twin(connects, text_of(host.connect), name, (*path, "connect"), "the same connection")
        if host.address:
            yield from _twin(addresses, host.address, name, (*path, "address"), "the same address")
        elif len(fleet.hosts) > 1:
            text = f"the host {name!r} has no `address`"
            detail = "With more than one host, each needs the address at which the others reach it."
            yield Finding(path=(*path, "address"), code="no-address", text=text, detail=detail, about_key=True)


def _twin(seen: dict[str, str], value: str, name: str, path: Path, what: str) -> Iterator[Finding]:
    other = seen.setdefault(value, name)
    if other != name:
        text = f"the hosts {other!r} and {name!r} have {what}"
        related: Path = ("hosts", other, path[-1])
        hint = "One machine is one host."
        yield Finding(path=path, code="same-host", text=text, hint=hint, related=(related,), relies=(related,))


def networks(fleet: Fleet) -> Iterator[Finding]:
    """What is set for a network means something in its mode, and fits together."""
    numbers: dict[int, str] = {}
    for name in sorted(fleet.networks):
        network = fleet.networks[name]
        path: Path = ("networks", name)
        yield from _by_mode(network, path)
        yield from _inside(network, path)
        if network.vni is not None and (other := numbers.setdefault(network.vni, name)) != name:
            text = f"the networks {other!r} and {name!r} have one vni, {network.vni}"
            related: Path = ("networks", other, "vni")
            yield Finding(
                path=(*path, "vni"), code="same-network", text=text, hint="Give each its own.", related=(related,)
            )
    yield from _overlaps(fleet)


def _by_mode(network: Network, path: Path) -> Iterator[Finding]:
    means = {"user": (), "bridge": ("bridge",), "vxlan": ("bridge", "vni")}[network.mode]
    for key in ("bridge", "vni"):
        if getattr(network, key) and key not in means:
            text = f"`{key}` means nothing in the mode {network.mode}"
            hint = "Take it away, or change `mode`."
            relies = ((*path, "mode"),)
            yield Finding(path=(*path, key), code="network-mode", text=text, hint=hint, about_key=True, relies=relies)
    if network.mode != "user" and not network.subnet:
        text = f"the network {network.name!r} needs a `subnet`, as every one that is not a user network"
        yield Finding(
            path=(*path, "subnet"), code="missing-key", text=text, hint="Such as 10.30.0.0/24.", about_key=True
        )
    is_range = "/" not in network.endpoints
    if network.endpoints and is_range != (network.mode == "user"):
        wanted = "a port range such as 20000-29999" if network.mode == "user" else "a subnet such as 10.30.128.0/24"
        text = f"the endpoints of a {network.mode} network are {wanted}"
        yield Finding(path=(*path, "endpoints"), code="network-mode", text=text, relies=((*path, "mode"),))


def _inside(network: Network, path: Path) -> Iterator[Finding]:
    """The gateway lies in the subnet; endpoints have a range of their own."""
    if not network.subnet:
        return
    subnet = ipaddress.IPv4Network(network.subnet)
    relies: tuple[Path, ...] = ((*path, "subnet"), (*path, "mode"))
    if network.gateway and ipaddress.IPv4Address(network.gateway) not in subnet:
        text = f"the gateway {network.gateway} lies outside of the subnet {network.subnet}"
        yield Finding(path=(*path, "gateway"), code="outside-subnet", text=text, relies=relies)


def _overlaps(fleet: Fleet) -> Iterator[Finding]:
    seen: list[tuple[str, ipaddress.IPv4Network]] = []
    for name in sorted(fleet.networks):
        network = fleet.networks[name]
        if network.mode == "user" or not network.subnet:
            continue  # User networks are private to each guest.
        subnet = ipaddress.IPv4Network(network.subnet)
        other = next((known for known, range_ in seen if range_.overlaps(subnet)), "")
        if other:
            text = f"the subnets of {other!r} and {name!r} overlap"
            related: Path = ("networks", other, "subnet")
            yield Finding(path=("networks", name, "subnet"), code="same-network", text=text, related=(related,))
        seen.append((name, subnet))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """The hosts a placement allows, and those of them that fit; made once for all services that ask for the same."""

    allowed: tuple[Host, ...]
    fitting: tuple[Host, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.fitting)


def _field(hosts: tuple[Host, ...], placement: Placement) -> _Field:
    allowed = selected_hosts(placement.hosts, hosts)
    wanted = placement.require.items()
    return _Field(allowed=allowed, fitting=tuple(host for host in allowed if wanted <= host_labels(host).items()))


def placement(fleet: Fleet) -> Iterator[Finding]:
    """Every service has hosts on which it may stand."""
    every = tuple(fleet.hosts[name] for name in sorted(fleet.hosts))
    fields: dict[object, _Field] = {}
    counted: dict[object, Finding | None] = {}
    for service in fleet.services.values() if every else ():
        wish = service.placement
        asked = (wish.hosts, tuple(sorted(wish.require.items())))
        field = fields.get(asked) or fields.setdefault(asked, _field(every, wish))
        if not field.fitting:
            yield _nowhere(fleet, service, field)
            continue
        if (asked, wish.spread) not in counted:
            counted[asked, wish.spread] = _spread(wish.spread, field)
        uncounted = counted[asked, wish.spread]
        if uncounted:
            yield replace(uncounted, path=("services", service.name, "placement", "spread"))
        yield from _able(service, field)
        yield from _pinned(fleet, service, field)


def _nowhere(fleet: Fleet, service: Service, field: _Field) -> Finding:
    path: Path = ("services", service.name, "placement")
    wish = service.placement
    if not field.allowed:
        near = closest(wish.hosts, fleet.hosts)
        hint = f"Did you mean {near}?" if near else there_are(fleet.hosts)
        text = f"{wish.hosts!r} selects no host"
        return Finding(path=(*path, "hosts"), code="no-host-selected", text=text, hint=hint, among="hosts")
    wanted = ", ".join(f"{key}: {value}" for key, value in sorted(wish.require.items()))
    hint = f"Hosts that `placement.hosts` allows: {listed(host.name for host in field.allowed)}."
    text = f"no host has the labels {wanted}"
    return Finding(path=(*path, "require"), code="no-host-selected", text=text, hint=hint, relies=(("hosts",),))


def _spread(spread: str, field: _Field) -> Finding | None:
    without = [host.name for host in field.fitting if spread != "host" and spread not in host_labels(host)]
    if not without:
        return None
    if len(without) == len(field.fitting) and spread != "zone":
        near = closest(spread, {"host", "zone", *(label for host in field.fitting for label in host.labels)})
        text, hint = f"`spread`: no host has the label {spread!r}", f"Did you mean {near}?" if near else ""
    else:
        what = "no `zone`" if spread == "zone" else f"no label {spread!r}"
        text = (
            f"`spread: {spread}` cannot be counted: {listed(without)} {'has' if len(without) == 1 else 'have'} {what}"
        )
        hint = "Set it at every host on which the service may stand."
    return Finding(path=(), code="spread", text=text, hint=hint, relies=(("hosts",),))


def _able(service: Service, field: _Field) -> Iterator[Finding]:
    path: Path = ("services", service.name)
    wanted = service.hypervisor
    if wanted and all(host.hypervisors and wanted not in host.hypervisors for host in field.fitting):
        text = f"no host on which {service.name!r} may stand allows the hypervisor {wanted}"
        hint = "Add it to `hypervisors` of a host."
        yield Finding(path=(*path, "hypervisor"), code="no-hypervisor", text=text, hint=hint, relies=(("hosts",),))
    for key, size in (("memory", service.memory), ("cpus", service.cpus)):
        # A host that declares nothing is surveyed: it may be as large as it likes.
        if all((getattr(host, key) or size) < size for host in field.fitting):
            most = max(getattr(host, key) for host in field.fitting)
            shown = memory_text(most) if key == "memory" else str(most)
            text = f"one instance of {service.name!r} is larger than every host on which it may stand"
            hint = f"The largest of them declares `{key}: {shown}`."
            yield Finding(path=(*path, key), code="too-large-for-hosts", text=text, hint=hint, relies=(("hosts",),))


def _pinned(fleet: Fleet, service: Service, field: _Field) -> Iterator[Finding]:
    for device, name in service.volumes.items():
        volume = fleet.volumes.get(name)
        if volume and volume.host in fleet.hosts and volume.host not in field.names:
            yield Finding(
                path=("services", service.name, "volumes", device),
                code="volume-elsewhere",
                text=f"the volume {name!r} stands on {volume.host}, where {service.name!r} may not stand",
                hint=f"It may stand on {listed(field.names)}: change `placement` here or `host` there.",
                related=(("volumes", name, "host"),),
                relies=(("hosts",), ("volumes", name)),
            )
