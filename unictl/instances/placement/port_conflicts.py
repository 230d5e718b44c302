"""Ports that an ingress of the fleet needs and something else holds; no placement can solve that. Pure."""

from collections.abc import Iterator, Mapping

from unictl.fleet.model import Fleet
from unictl.instances.observed.host_state import Survey, World
from unictl.instances.placement.explain import Refusal

_LOOPBACK = ("", "*", "0.0.0.0", "::", "127.0.0.1", "::1")

Wanted = Mapping[int, list[tuple[str, str, bool]]]
"""Port -> (service, what it is for, whether on loopback only)."""


def ingress_refusals(fleet: Fleet, world: World, endpoints: Mapping[str, int]) -> Iterator[Refusal]:
    """Published ports and endpoints that others, or a forward of this fleet, hold on a host that runs an ingress."""
    wanted = _wanted(fleet, endpoints)
    for name, said in sorted(world.items()):
        host = fleet.hosts.get(name)
        if isinstance(said, Survey) and host and host.ingress and not host.lost:
            yield from _on(name, said, wanted)


def _on(host: str, said: Survey, wanted: Wanted) -> Iterator[Refusal]:
    told = set()
    for port, bind, holder in _held(said):
        for service, what, loopback in wanted.get(port, ()):
            if (bind in _LOOPBACK or not loopback) and (port, service) not in told:
                told.add((port, service))
                text = f"{what} needs port {port} of {host}, which {holder} holds"
                yield Refusal(instance=service, host=host, dimension="ports", need=port, text=text)


def _wanted(fleet: Fleet, endpoints: Mapping[str, int]) -> Wanted:
    wanted: dict[int, list[tuple[str, str, bool]]] = {}
    for name, service in sorted(fleet.services.items()):
        for publish in service.publish:
            wanted.setdefault(publish.port, []).append((name, f"services.{name}.publish", False))
        for port in service.ports:
            number = endpoints.get(f"{name}.{port.name}")
            if number is not None and not port.udp:
                wanted.setdefault(number, []).append((name, f"the endpoint {name}.{port.name}", True))
    return wanted


def _held(said: Survey) -> list[tuple[int, str, str]]:
    """(port, address, holder in words) of all that is taken on a host, by port."""
    held = [
        (claim.port, claim.bind, f"{claim.holder} of fleet {claim.owner}" if claim.owner else "another program")
        for claim in said.claims
        if claim.kind == "port"
    ]
    held += [
        (int(forward["host"]), str(forward.get("bind", "")), f"{live.key} of this fleet")
        for live in said.instances
        for forward in live.forwards
    ]
    return sorted(held)
