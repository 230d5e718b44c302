"""Ports that an ingress of the fleet needs and something else holds; no placement can solve that. Pure."""

from collections.abc import Iterator, Mapping

from unictl.fleet.model import Fleet
from unictl.instances.observed.host_state import LiveState, Survey
from unictl.instances.placement.shortfall import Shortfall, build_shortfall

_REACHES_LOOPBACK = ("", "*", "0.0.0.0", "::", "127.0.0.1", "::1")

RequiredPorts = Mapping[int, list[tuple[str, str, bool]]]
"""Port -> (service, what it is for, whether on loopback only)."""


def find_port_conflicts(fleet: Fleet, live_state: LiveState, endpoints: Mapping[str, int]) -> Iterator[Shortfall]:
    """Published ports and endpoints that others, or a forward of this fleet, hold on a host that runs an ingress."""
    required_ports = _required_ports(fleet, endpoints)
    for name, survey in sorted(live_state.items()):
        host = fleet.hosts.get(name)
        if isinstance(survey, Survey) and host and host.ingress and not host.lost:
            yield from _host_conflicts(name, survey, required_ports)


def _host_conflicts(host: str, survey: Survey, required_ports: RequiredPorts) -> Iterator[Shortfall]:
    reported = set()
    for port, bind, holder in _taken_ports(survey):
        for service, purpose, loopback in required_ports.get(port, ()):
            if (bind in _REACHES_LOOPBACK or not loopback) and (port, service) not in reported:
                reported.add((port, service))
                text = f"{purpose} needs port {port} of {host}, which {holder} holds"
                yield build_shortfall(service, service, host, "ports", text, need=port)


def _required_ports(fleet: Fleet, endpoints: Mapping[str, int]) -> RequiredPorts:
    required_ports: dict[int, list[tuple[str, str, bool]]] = {}
    for name, service in sorted(fleet.services.items()):
        for publish in service.publish:
            required_ports.setdefault(publish.port, []).append((name, f"services.{name}.publish", False))
        for port in service.ports:
            number = endpoints.get(f"{name}.{port.name}")
            if number is not None and not port.udp:
                required_ports.setdefault(number, []).append((name, f"the endpoint {name}.{port.name}", True))
    return required_ports


def _taken_ports(survey: Survey) -> list[tuple[int, str, str]]:
    """(port, address, holder in words) of all that is taken on a host, by port."""
    holders = [
        (claim.port, claim.bind, f"{claim.holder} of fleet {claim.owner}" if claim.owner else "another program")
        for claim in survey.claims
        if claim.kind == "port"
    ]
    holders += [
        (int(forward["host"]), str(forward.get("bind", "")), f"{live.key} of this fleet")
        for live in survey.instances
        for forward in live.forwards
    ]
    return sorted(holders)
