"""Rules for hosts and networks, and for where services and volumes can be placed. Pure."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.connect_url import format_connection_url
from unictl.fleet.model import Fleet, Host, Network, Placement, Service
from unictl.fleet.names import closest_match, describe_existing, join_names
from unictl.fleet.quantities import format_memory
from unictl.fleet.selection import host_labels, select_hosts


def check_hosts(fleet: Fleet) -> Iterator[Finding]:
    """There are hosts, they are told apart, and they reach each other."""
    if fleet.services and not fleet.hosts:
        hint = "Add `hosts: {here: {connect: local}}`."
        text = "the fleet has services and no host to run them on"
        yield Finding(
            path=("services",), code="no-hosts", summary=text, hint=hint, at_key=True, searched_section="hosts"
        )
    connects: dict[str, str] = {}
    addresses: dict[str, str] = {}
    for name in sorted(fleet.hosts):
        host = fleet.hosts[name]
        path: DocumentPath = ("hosts", name)
        yield from _check_duplicate(
            connects, format_connection_url(host.connect), name, (*path, "connect"), "the same connection"
        )
        if host.address:
            yield from _check_duplicate(addresses, host.address, name, (*path, "address"), "the same address")
        elif len(fleet.hosts) > 1:
            text = f"the host {name!r} has no `address`"
            detail = "With more than one host, each needs the address at which the others reach it."
            yield Finding(path=(*path, "address"), code="no-address", summary=text, detail=detail, at_key=True)


def _check_duplicate(
    first_by_value: dict[str, str], value: str, name: str, path: DocumentPath, property_text: str
) -> Iterator[Finding]:
    first_host = first_by_value.setdefault(value, name)
    if first_host != name:
        text = f"the hosts {first_host!r} and {name!r} have {property_text}"
        related: DocumentPath = ("hosts", first_host, path[-1])
        hint = "One machine is one host."
        yield Finding(path=path, code="same-host", summary=text, hint=hint, related=(related,), depends_on=(related,))


def check_networks(fleet: Fleet) -> Iterator[Finding]:
    """What is set for a network means something in its mode, and fits together."""
    numbers: dict[int, str] = {}
    for name in sorted(fleet.networks):
        network = fleet.networks[name]
        path: DocumentPath = ("networks", name)
        yield from _check_mode(network, path)
        yield from _check_gateway(network, path)
        if network.vni is not None and (first_network := numbers.setdefault(network.vni, name)) != name:
            text = f"the networks {first_network!r} and {name!r} have one vni, {network.vni}"
            related: DocumentPath = ("networks", first_network, "vni")
            yield Finding(
                path=(*path, "vni"), code="same-network", summary=text, hint="Give each its own.", related=(related,)
            )
    yield from _check_overlaps(fleet)


def _check_mode(network: Network, path: DocumentPath) -> Iterator[Finding]:
    allowed_keys = {"user": (), "bridge": ("bridge",), "vxlan": ("bridge", "vni")}[network.mode]
    for key in ("bridge", "vni"):
        if getattr(network, key) and key not in allowed_keys:
            text = f"`{key}` means nothing in the mode {network.mode}"
            hint = "Take it away, or change `mode`."
            relies = ((*path, "mode"),)
            yield Finding(
                path=(*path, key), code="network-mode", summary=text, hint=hint, at_key=True, depends_on=relies
            )
    if network.mode != "user" and not network.subnet:
        text = f"the network {network.name!r} needs a `subnet`, as every one that is not a user network"
        yield Finding(
            path=(*path, "subnet"), code="missing-key", summary=text, hint="Such as 10.30.0.0/24.", at_key=True
        )
    is_range = "/" not in network.endpoints
    if network.endpoints and is_range != (network.mode == "user"):
        expected = "a port range such as 20000-29999" if network.mode == "user" else "a subnet such as 10.30.128.0/24"
        text = f"the endpoints of a {network.mode} network are {expected}"
        yield Finding(path=(*path, "endpoints"), code="network-mode", summary=text, depends_on=((*path, "mode"),))


def _check_gateway(network: Network, path: DocumentPath) -> Iterator[Finding]:
    """The gateway lies in the subnet; endpoints have a range of their own."""
    if not network.subnet:
        return
    subnet = ipaddress.IPv4Network(network.subnet)
    relies: tuple[DocumentPath, ...] = ((*path, "subnet"), (*path, "mode"))
    if network.gateway and ipaddress.IPv4Address(network.gateway) not in subnet:
        text = f"the gateway {network.gateway} lies outside of the subnet {network.subnet}"
        yield Finding(path=(*path, "gateway"), code="outside-subnet", summary=text, depends_on=relies)


def _check_overlaps(fleet: Fleet) -> Iterator[Finding]:
    subnets: list[tuple[str, ipaddress.IPv4Network]] = []
    for name in sorted(fleet.networks):
        network = fleet.networks[name]
        if network.mode == "user" or not network.subnet:
            continue  # User networks are private to each guest.
        subnet = ipaddress.IPv4Network(network.subnet)
        overlapping = next((earlier for earlier, range_ in subnets if range_.overlaps(subnet)), "")
        if overlapping:
            text = f"the subnets of {overlapping!r} and {name!r} overlap"
            related: DocumentPath = ("networks", overlapping, "subnet")
            yield Finding(path=("networks", name, "subnet"), code="same-network", summary=text, related=(related,))
        subnets.append((name, subnet))


@dataclass(frozen=True, slots=True, kw_only=True)
class _EligibleHosts:
    """The hosts a placement allows, and those of them that fit; made once for all services that ask for the same."""

    allowed: tuple[Host, ...]
    matching: tuple[Host, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.matching)


def _eligible_hosts(hosts: tuple[Host, ...], placement: Placement) -> _EligibleHosts:
    allowed = select_hosts(placement.hosts, hosts)
    required_labels = placement.require.items()
    return _EligibleHosts(
        allowed=allowed, matching=tuple(host for host in allowed if required_labels <= host_labels(host).items())
    )


def check_placement(fleet: Fleet) -> Iterator[Finding]:
    """Every service has hosts on which it may stand."""
    all_hosts = tuple(fleet.hosts[name] for name in sorted(fleet.hosts))
    eligible_by_request: dict[object, _EligibleHosts] = {}
    spread_findings: dict[object, Finding | None] = {}
    for service in fleet.services.values() if all_hosts else ():
        constraints = service.placement
        request = (constraints.hosts, tuple(sorted(constraints.require.items())))
        eligible = eligible_by_request.get(request) or eligible_by_request.setdefault(
            request, _eligible_hosts(all_hosts, constraints)
        )
        if not eligible.matching:
            yield _no_host_finding(fleet, service, eligible)
            continue
        if (request, constraints.spread) not in spread_findings:
            spread_findings[request, constraints.spread] = _spread_finding(constraints.spread, eligible)
        spread_problem = spread_findings[request, constraints.spread]
        if spread_problem:
            yield replace(spread_problem, path=("services", service.name, "placement", "spread"))
        yield from _check_host_fits(service, eligible)
        yield from _check_volume_hosts(fleet, service, eligible)


def _no_host_finding(fleet: Fleet, service: Service, eligible: _EligibleHosts) -> Finding:
    path: DocumentPath = ("services", service.name, "placement")
    constraints = service.placement
    if not eligible.allowed:
        suggestion = closest_match(constraints.hosts, fleet.hosts)
        hint = f"Did you mean {suggestion}?" if suggestion else describe_existing(fleet.hosts)
        text = f"{constraints.hosts!r} selects no host"
        return Finding(
            path=(*path, "hosts"), code="no-host-selected", summary=text, hint=hint, searched_section="hosts"
        )
    labels = ", ".join(f"{key}: {value}" for key, value in sorted(constraints.require.items()))
    hint = f"Hosts that `placement.hosts` allows: {join_names(host.name for host in eligible.allowed)}."
    text = f"no host has the labels {labels}"
    return Finding(path=(*path, "require"), code="no-host-selected", summary=text, hint=hint, depends_on=(("hosts",),))


def _spread_finding(spread: str, eligible: _EligibleHosts) -> Finding | None:
    without = [host.name for host in eligible.matching if spread != "host" and spread not in host_labels(host)]
    if not without:
        return None
    if len(without) == len(eligible.matching) and spread != "zone":
        suggestion = closest_match(
            spread, {"host", "zone", *(label for host in eligible.matching for label in host.labels)}
        )
        text, hint = f"`spread`: no host has the label {spread!r}", f"Did you mean {suggestion}?" if suggestion else ""
    else:
        missing = "no `zone`" if spread == "zone" else f"no label {spread!r}"
        verb = "has" if len(without) == 1 else "have"
        text = f"`spread: {spread}` cannot be counted: {join_names(without)} {verb} {missing}"
        hint = "Set it at every host on which the service may stand."
    return Finding(path=(), code="spread", summary=text, hint=hint, depends_on=(("hosts",),))


def _check_host_fits(service: Service, eligible: _EligibleHosts) -> Iterator[Finding]:
    path: DocumentPath = ("services", service.name)
    hypervisor = service.hypervisor
    if hypervisor and all(host.hypervisors and hypervisor not in host.hypervisors for host in eligible.matching):
        text = f"no host on which {service.name!r} may stand allows the hypervisor {hypervisor}"
        hint = "Add it to `hypervisors` of a host."
        yield Finding(
            path=(*path, "hypervisor"), code="no-hypervisor", summary=text, hint=hint, depends_on=(("hosts",),)
        )
    for key, size in (("memory", service.memory), ("cpus", service.cpus)):
        # A host that declares nothing is surveyed: it may be as large as it likes.
        if all((getattr(host, key) or size) < size for host in eligible.matching):
            most = max(getattr(host, key) for host in eligible.matching)
            shown = format_memory(most) if key == "memory" else str(most)
            text = f"one instance of {service.name!r} is larger than every host on which it may stand"
            hint = f"The largest of them declares `{key}: {shown}`."
            yield Finding(
                path=(*path, key), code="too-large-for-hosts", summary=text, hint=hint, depends_on=(("hosts",),)
            )


def _check_volume_hosts(fleet: Fleet, service: Service, eligible: _EligibleHosts) -> Iterator[Finding]:
    for device, name in service.volumes.items():
        volume = fleet.volumes.get(name)
        if volume and volume.host in fleet.hosts and volume.host not in eligible.names:
            yield Finding(
                path=("services", service.name, "volumes", device),
                code="volume-elsewhere",
                summary=f"the volume {name!r} stands on {volume.host}, where {service.name!r} may not stand",
                hint=f"It may stand on {join_names(eligible.names)}: change `placement` here or `host` there.",
                related=(("volumes", name, "host"),),
                depends_on=(("hosts",), ("volumes", name)),
            )
