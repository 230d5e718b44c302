"""Rules for ports: guest ports, published ports, health check ports and endpoint ranges. Pure."""

import re
from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Fleet, Port, Probe, Publication, Service
from unictl.fleet.names import closest_match, join_names

PublicationClaim = tuple[Service, int, Publication]


def check_port_numbers(fleet: Fleet) -> Iterator[Finding]:
    """No two ports of a service have one number and protocol."""
    for service in fleet.services.values():
        ports_by_number: dict[tuple[int, bool], Port] = {}
        for port in service.ports:
            first_port = ports_by_number.setdefault((port.number, port.udp), port)
            if first_port is not port:
                yield Finding(
                    path=("services", service.name, "ports", port.name),
                    code="port-twice",
                    summary=f"the ports {first_port.name!r} and {port.name!r} have one number, {port.number}",
                    hint="One name is enough; it can be used in many places.",
                    related=(("services", service.name, "ports", first_port.name),),
                )


def _unknown_port(service: Service, path: DocumentPath, name: str) -> Finding:
    port_names = [port.name for port in service.ports]
    suggestion = closest_match(name, port_names)
    alternative = f"Its ports: {join_names(port_names)}." if port_names else f"Declare it: `ports: {{{name}: 8080}}`."
    return Finding(
        path=path,
        code="unknown-port",
        summary=f"the service {service.name!r} has no port {name!r}",
        hint=f"Did you mean {suggestion}?" if suggestion else alternative,
        depends_on=(("services", service.name, "ports"),),
    )


def check_publications(fleet: Fleet) -> Iterator[Finding]:
    """What is published leads to a port of the service, and nothing else claims the same."""
    claims: dict[tuple[int, bool], list[PublicationClaim]] = {}
    for name in sorted(fleet.services):
        service = fleet.services[name]
        ports = {port.name: port for port in service.ports}
        for index, publish in enumerate(service.publish):
            path: DocumentPath = ("services", name, "publish", index)
            port = ports.get(publish.to)
            if port is None and publish.to:
                yield _unknown_port(service, (*path, "to"), publish.to)
            if port and port.udp and (publish.host or publish.sni or publish.tls):
                text = f"{publish.to!r} is a UDP port: `host`, `sni` and `tls` mean nothing to it"
                yield Finding(path=path, code="publish-udp", summary=text, hint="Take them away.", at_key=True)
            if publish.port:
                claims.setdefault((publish.port, bool(port and port.udp)), []).append((service, index, publish))
    for (number, _), port_claims in claims.items():
        yield from _check_clashes(number, port_claims)
        yield from _check_outside_endpoints(fleet, number, port_claims[0])


def _check_clashes(number: int, claims: list[PublicationClaim]) -> Iterator[Finding]:
    """Several may share a port only by a name each: of SNI, or of the HTTP host."""
    claims_by_name: dict[tuple[str, str], PublicationClaim] = {}
    for claim in claims:
        service, index, publish = claim
        earlier = claims_by_name.get((publish.host, publish.sni)) or next(iter(claims_by_name.values()), None)
        claims_by_name.setdefault((publish.host, publish.sni), claim)
        if earlier is None or _are_distinguishable(earlier[2], publish):
            continue
        same_service = earlier[0].name == service.name
        publishers = f"twice by {service.name!r}" if same_service else f"by {earlier[0].name!r} and by {service.name!r}"
        yield Finding(
            path=("services", service.name, "publish", index),
            code="port-clash",
            summary=f"port {number} is published {publishers}",
            at_key=True,
            hint="Take another port, or give each its own `sni` (TLS passed through) or `host` (HTTP).",
            related=(("services", earlier[0].name, "publish", earlier[1]),),
        )


def _are_distinguishable(first: Publication, second: Publication) -> bool:
    by_sni = bool(first.sni and second.sni) and first.sni != second.sni
    by_host = bool(first.host and second.host) and first.host != second.host and bool(first.sni) == bool(second.sni)
    return by_sni or by_host


def endpoint_ports(fleet: Fleet, network: str) -> tuple[int, int] | None:
    """First and last port of a user network's endpoints; None for other networks and what is malformed."""
    declared = fleet.networks.get(network)
    match = re.fullmatch("([0-9]+)-([0-9]+)", declared.endpoints) if declared and declared.mode == "user" else None
    return (int(match[1]), int(match[2])) if match else None


def _check_outside_endpoints(fleet: Fleet, number: int, claim: PublicationClaim) -> Iterator[Finding]:
    for network in sorted({name for service in fleet.services.values() for name in service.network}):
        bounds = endpoint_ports(fleet, network)
        if bounds and bounds[0] <= number <= bounds[1]:
            yield Finding(
                path=("services", claim[0].name, "publish", claim[1]),
                code="port-in-endpoints",
                at_key=True,
                summary=f"port {number} lies among the endpoints of the network {network!r}, {bounds[0]}-{bounds[1]}",
                hint="Publish another port, or set the network's `endpoints` elsewhere.",
                depends_on=(("networks", network),),
            )


def check_endpoint_capacity(fleet: Fleet) -> Iterator[Finding]:
    """A user network has an endpoint for every port of every service, however many replicas stand behind it."""
    required_counts: dict[str, int] = {}
    for service in fleet.services.values():
        for network in service.network:
            required_counts[network] = required_counts.get(network, 0) + len(service.ports)
    for network, count in sorted(required_counts.items()):
        bounds = endpoint_ports(fleet, network)
        if bounds and count > (available := bounds[1] - bounds[0] + 1):
            yield Finding(
                path=("networks", network, "endpoints") if network in fleet.networks else ("services",),
                code="too-few-endpoints",
                summary=f"the network {network!r} has {available} endpoints, "
                f"and {count} ports of services need one each",
                hint="Widen its `endpoints`.",
            )


def check_health_checks(fleet: Fleet) -> Iterator[Finding]:
    """Health checks ask a port that exists, in a way that proves something."""
    for service in fleet.services.values():
        for index, probe in enumerate(service.health):
            path: DocumentPath = ("services", service.name, "health", index)
            if probe.kind != "console":
                yield from _check_probe_port(service, probe, path)
            elif probe.port:
                text = "a console check reads what the guest prints: `port` means nothing to it"
                yield Finding(path=(*path, "port"), code="check-port", summary=text, hint="Take it away.")
            if probe.kind == "tcp" and not probe.expect and _uses_user_network(fleet, service):
                yield _meaningless_check(path, bool(probe.send))
            if probe.min_healthy_time >= probe.healthy_deadline:
                text = "`min_healthy_time` is not shorter than `healthy_deadline`: no instance could become healthy"
                relies = tuple((*path, key) for key in ("min_healthy_time", "healthy_deadline"))
                yield Finding(
                    path=path, code="deadline", summary=text, hint="Raise `healthy_deadline`.", depends_on=relies
                )


def _uses_user_network(fleet: Fleet, service: Service) -> bool:
    return any(name in fleet.networks and fleet.networks[name].mode == "user" for name in service.network)


def _meaningless_check(path: DocumentPath, sends: bool) -> Finding:
    return Finding(
        path=(*path, "tcp"),
        code="check-proves-nothing",
        summary=f"on a user network {'sending' if sends else 'a connection'} without `expect` proves nothing",
        detail="The hypervisor accepts connections itself, also for a guest that is dead.",
        hint="Ask with `http: /path`, `console: TEXT`, or tcp with `send` and `expect`.",
        at_key=True,
        depends_on=(path,),
    )


def _check_probe_port(service: Service, probe: Probe, path: DocumentPath) -> Iterator[Finding]:
    ports = {port.name: port for port in service.ports}
    relies: tuple[DocumentPath, ...] = (("services", service.name, "ports"), (*path, "port"))
    if not probe.port:
        hint = f"Add `port`: {join_names(ports)}." if ports else "Declare the port: `ports: {http: 8080}`."
        text = f"the check does not say which port of {service.name!r} it asks"
        yield Finding(path=path, code="check-port", summary=text, hint=hint, depends_on=relies)
    elif probe.port not in ports:
        yield _unknown_port(service, (*path, "port"), probe.port)
    elif ports[probe.port].udp:
        text = f"{probe.port!r} is a UDP port: {'an' if probe.kind == 'http' else 'a'} {probe.kind} check cannot ask it"
        yield Finding(path=(*path, "port"), code="check-port", summary=text, hint="Ask a TCP port, or the console.")
