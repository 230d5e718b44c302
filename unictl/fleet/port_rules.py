"""Rules for ports: guest ports, published ports, health check ports and endpoint ranges. Pure."""

import re
from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path
from unictl.fleet.model import Fleet, Port, Probe, Publish, Service
from unictl.fleet.names import closest, listed

Claim = tuple[Service, int, Publish]


def listening(fleet: Fleet) -> Iterator[Finding]:
    """No two ports of a service have one number and protocol."""
    for service in fleet.services.values():
        seen: dict[tuple[int, bool], Port] = {}
        for port in service.ports:
            twin = seen.setdefault((port.number, port.udp), port)
            if twin is not port:
                yield Finding(
                    path=("services", service.name, "ports", port.name),
                    code="port-twice",
                    text=f"the ports {twin.name!r} and {port.name!r} have one number, {port.number}",
                    hint="One name is enough; it can be used in many places.",
                    related=(("services", service.name, "ports", twin.name),),
                )


def _missing(service: Service, path: Path, name: str) -> Finding:
    known = [port.name for port in service.ports]
    near = closest(name, known)
    there = f"Its ports: {listed(known)}." if known else f"Declare it: `ports: {{{name}: 8080}}`."
    return Finding(
        path=path,
        code="unknown-port",
        text=f"the service {service.name!r} has no port {name!r}",
        hint=f"Did you mean {near}?" if near else there,
        relies=(("services", service.name, "ports"),),
    )


def published(fleet: Fleet) -> Iterator[Finding]:
    """What is published leads to a port of the service, and nothing else claims the same."""
    claims: dict[tuple[int, bool], list[Claim]] = {}
    for name in sorted(fleet.services):
        service = fleet.services[name]
        ports = {port.name: port for port in service.ports}
        for index, publish in enumerate(service.publish):
            path: Path = ("services", name, "publish", index)
            port = ports.get(publish.to)
            if port is None and publish.to:
                yield _missing(service, (*path, "to"), publish.to)
            if port and port.udp and (publish.host or publish.sni or publish.tls):
                text = f"{publish.to!r} is a UDP port: `host`, `sni` and `tls` mean nothing to it"
                yield Finding(path=path, code="publish-udp", text=text, hint="Take them away.", about_key=True)
            if publish.port:
                claims.setdefault((publish.port, bool(port and port.udp)), []).append((service, index, publish))
    for (number, _), claimed in claims.items():
        yield from _clashes(number, claimed)
        yield from _within_endpoints(fleet, number, claimed[0])


def _clashes(number: int, claims: list[Claim]) -> Iterator[Finding]:
    """Several may share a port only by a name each: of SNI, or of the HTTP host."""
    seen: dict[tuple[str, str], Claim] = {}
    for claim in claims:
        service, index, publish = claim
        other = seen.get((publish.host, publish.sni)) or next(iter(seen.values()), None)
        seen.setdefault((publish.host, publish.sni), claim)
        if other is None or _apart(other[2], publish):
            continue
        twice = other[0].name == service.name
        whose = f"twice by {service.name!r}" if twice else f"by {other[0].name!r} and by {service.name!r}"
        yield Finding(
            path=("services", service.name, "publish", index),
            code="port-clash",
            text=f"port {number} is published {whose}",
            about_key=True,
            hint="Take another port, or give each its own `sni` (TLS passed through) or `host` (HTTP).",
            related=(("services", other[0].name, "publish", other[1]),),
        )


def _apart(one: Publish, other: Publish) -> bool:
    by_sni = bool(one.sni and other.sni) and one.sni != other.sni
    by_host = bool(one.host and other.host) and one.host != other.host and bool(one.sni) == bool(other.sni)
    return by_sni or by_host


def endpoint_ports(fleet: Fleet, network: str) -> tuple[int, int] | None:
    """First and last port of a user network's endpoints; None for other networks and what is malformed."""
    known = fleet.networks.get(network)
    match = re.fullmatch("([0-9]+)-([0-9]+)", known.endpoints) if known and known.mode == "user" else None
    return (int(match[1]), int(match[2])) if match else None


def _within_endpoints(fleet: Fleet, number: int, claim: Claim) -> Iterator[Finding]:
    for network in sorted({name for service in fleet.services.values() for name in service.network}):
        bounds = endpoint_ports(fleet, network)
        if bounds and bounds[0] <= number <= bounds[1]:
            yield Finding(
                path=("services", claim[0].name, "publish", claim[1]),
                code="port-in-endpoints",
                about_key=True,
                text=f"port {number} lies among the endpoints of the network {network!r}, {bounds[0]}-{bounds[1]}",
                hint="Publish another port, or set the network's `endpoints` elsewhere.",
                relies=(("networks", network),),
            )


def enough_endpoints(fleet: Fleet) -> Iterator[Finding]:
    """A user network has an endpoint for every port of every service, however many replicas stand behind it."""
    wanted: dict[str, int] = {}
    for service in fleet.services.values():
        for network in service.network:
            wanted[network] = wanted.get(network, 0) + len(service.ports)
    for network, count in sorted(wanted.items()):
        bounds = endpoint_ports(fleet, network)
        if bounds and count > (there := bounds[1] - bounds[0] + 1):
            yield Finding(
                path=("networks", network, "endpoints") if network in fleet.networks else ("services",),
                code="too-few-endpoints",
                text=f"the network {network!r} has {there} endpoints, and {count} ports of services need one each",
                hint="Widen its `endpoints`.",
            )


def checks(fleet: Fleet) -> Iterator[Finding]:
    """Health checks ask a port that exists, in a way that proves something."""
    for service in fleet.services.values():
        for index, probe in enumerate(service.health):
            path: Path = ("services", service.name, "health", index)
            if probe.kind != "console":
                yield from _asked(service, probe, path)
            elif probe.port:
                text = "a console check reads what the guest prints: `port` means nothing to it"
                yield Finding(path=(*path, "port"), code="check-port", text=text, hint="Take it away.")
            if probe.kind == "tcp" and not probe.expect and _on_user_network(fleet, service):
                yield _proves_nothing(path, bool(probe.send))
            if probe.min_healthy_time >= probe.healthy_deadline:
                text = "`min_healthy_time` is not shorter than `healthy_deadline`: no instance could become healthy"
                relies = tuple((*path, key) for key in ("min_healthy_time", "healthy_deadline"))
                yield Finding(path=path, code="deadline", text=text, hint="Raise `healthy_deadline`.", relies=relies)


def _on_user_network(fleet: Fleet, service: Service) -> bool:
    return any(name in fleet.networks and fleet.networks[name].mode == "user" for name in service.network)


def _proves_nothing(path: Path, sends: bool) -> Finding:
    return Finding(
        path=(*path, "tcp"),
        code="check-proves-nothing",
        text=f"on a user network {'sending' if sends else 'a connection'} without `expect` proves nothing",
        detail="The hypervisor accepts connections itself, also for a guest that is dead.",
        hint="Ask with `http: /path`, `console: TEXT`, or tcp with `send` and `expect`.",
        about_key=True,
        relies=(path,),
    )


def _asked(service: Service, probe: Probe, path: Path) -> Iterator[Finding]:
    ports = {port.name: port for port in service.ports}
    relies: tuple[Path, ...] = (("services", service.name, "ports"), (*path, "port"))
    if not probe.port:
        hint = f"Add `port`: {listed(ports)}." if ports else "Declare the port: `ports: {http: 8080}`."
        text = f"the check does not say which port of {service.name!r} it asks"
        yield Finding(path=path, code="check-port", text=text, hint=hint, relies=relies)
    elif probe.port not in ports:
        yield _missing(service, (*path, "port"), probe.port)
    elif ports[probe.port].udp:
        text = f"{probe.port!r} is a UDP port: {'an' if probe.kind == 'http' else 'a'} {probe.kind} check cannot ask it"
        yield Finding(path=(*path, "port"), code="check-port", text=text, hint="Ask a TCP port, or the console.")
