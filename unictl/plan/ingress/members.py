"""Members of an ingress: the listeners of a service for a set of instances. Pure.

A plan stores membership as values and never as configuration text. The configuration of a host is composed from the
membership before the first step and the steps done since, so a failed branch cannot corrupt the text of another
one.
"""

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from unictl.fleet.model import Fleet, Port, Service
from unictl.instances.desired.instance import PlacedInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.ingress import haproxy_config
from unictl.plan.model.ingress import Listener, Listeners, Membership, Server, ServerSwap

LOOPBACK = "127.0.0.1"
_WILDCARD_ADDRESSES = (None, "", "0.0.0.0")
_MAX_SECTION_BYTES, _MAX_LINE_BYTES = 1200, 200
"""Bytes of a section without instances, and of the line of one, at most."""
MemberId = tuple[str, str]
"""An instance's key, and its host: two hosts may show one key."""
_ListenerTemplate = tuple[str, Listener]
"""The name of a port, and a listener that leads to it, still without its servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An instance that an ingress sends to: ``ports`` are name -> (address, number), as every host reaches them."""

    key: str
    ports: Mapping[str, tuple[str, int]]


def member(fleet: Fleet, instance: LiveInstance | PlacedInstance) -> Member:
    """The member that an instance is, live or planned."""
    ports = {}
    for forward in instance.forwards:
        if not forward.get("udp"):
            bind = forward.get("bind")
            address = _reachable_address(fleet, instance.host) if bind in _WILDCARD_ADDRESSES else str(bind)
            ports[str(forward["name"])] = (address, int(forward["host"]))
    return Member(key=instance.key, ports=ports)


def _reachable_address(fleet: Fleet, host: str) -> str:
    """Where a host's ports are reached that listen everywhere."""
    declared_host = fleet.hosts.get(host)
    return (declared_host.address if declared_host and len(fleet.hosts) > 1 else "") or LOOPBACK


def ingress_ports(service: Service) -> tuple[Port, ...]:
    """The ports of a service that an ingress listens for: a job has none."""
    return () if service.kind == "job" else tuple(port for port in service.ports if not port.udp)


class ServiceMembers:
    """The members of one service while a plan is made, and their listeners at any moment of it.

    A service that is gone, or has no ports any more, keeps its endpoints as long as its old instances are there; one
    that ``goes`` keeps all its listeners as long, so that nothing has to listen anew for somebody to leave.
    """

    def __init__(
        self, name: str, service: Service | None, endpoints: Mapping[str, int], *, being_removed: bool = False
    ):
        self._name = name
        self._is_being_removed = being_removed
        self._endpoints = endpoints
        self._templates = _listener_templates(service, endpoints) if service else []
        self.is_routed = service is None or service.kind != "job"
        self._is_orphaned = service is None or not ingress_ports(service)
        self._checked_port = _checked_port(service) if service else ""
        self._members: dict[MemberId, Member] = {}
        self._sorted_ids: list[MemberId] = []
        self._server_cache: dict[tuple[MemberId, str], Server] = {}

    def join(self, host: str, member: Member) -> None:
        """One more; nobody sends to a job."""
        member_id = (member.key, host)
        if not self.is_routed:
            return
        if member_id not in self._members:
            insort(self._sorted_ids, member_id)
        self._members[member_id] = member

    def leave(self, host: str, key: str) -> None:
        """One less; who is not there is no matter."""
        if self._members.pop((key, host), None) is not None:
            self._sorted_ids.remove((key, host))

    def listeners(self) -> Listeners:
        """Every listener, endpoints and published, with who is a member now; there even when nobody answers."""
        if self._is_being_removed and not self._members:
            return ()
        templates = self._orphaned_listeners() if self._is_orphaned else self._templates
        return tuple(replace(template, servers=self._servers_on_port(port)) for port, template in templates)

    def servers_by_listener(self, member: Member) -> dict[str, Server]:
        """How a member stands in the listeners of its ports: listener -> server."""
        ports = {template.name: port for port, template in self._templates}
        return {name: _server(member, port, self._checked_port) for name, port in ports.items() if port in member.ports}

    def _servers_on_port(self, port: str) -> tuple[Server, ...]:
        return tuple(
            self._cached_server(member_id, port)
            for member_id in self._sorted_ids
            if port in self._members[member_id].ports
        )

    def _cached_server(self, member_id: MemberId, port: str) -> Server:
        server = self._server_cache.get((member_id, port))
        if server is None:
            server = _server(self._members[member_id], port, self._checked_port)
            self._server_cache[member_id, port] = server
        return server

    def _orphaned_listeners(self) -> list[_ListenerTemplate]:
        ports = sorted({port for member in self._members.values() for port in member.ports})
        names = ((port, f"{self._name}.{port}") for port in ports)
        return [
            (port_name, Listener(name=listener_name, bind=LOOPBACK, port=self._endpoints[listener_name]))
            for port_name, listener_name in names
            if listener_name in self._endpoints
        ]


def _listener_templates(service: Service, endpoints: Mapping[str, int]) -> list[_ListenerTemplate]:
    """Every listener of a service, without its servers."""
    check = haproxy_config.ingress_check(service.health)
    templates: list[_ListenerTemplate] = []
    for port in ingress_ports(service):
        mode = haproxy_config.proxy_mode(check) if _checked_port(service) == port.name else "tcp"
        name = f"{service.name}.{port.name}"
        addresses = [(LOOPBACK, endpoints[name])] if name in endpoints else []
        addresses += [("*", publication.port) for publication in service.publish if publication.to == port.name]
        for bind, number in addresses:
            listener = Listener(name=name, bind=bind, port=number, mode=mode, check=check, drain=service.update.drain)
            templates.append((port.name, listener))
    return templates


def with_swap(listeners: Listeners, swap: ServerSwap) -> Listeners:
    """The listeners after servers joined and left."""
    changed_listeners = []
    for listener in listeners:
        joining = swap.joining.get(listener.name, ())
        dropped_names = {*swap.leaving, *(server.name for server in joining)}
        servers = [server for server in listener.servers if server.name not in dropped_names]
        servers = sorted([*servers, *joining], key=lambda server: server.name)
        changed_listeners.append(replace(listener, servers=tuple(servers)))
    return tuple(changed_listeners)


def _checked_port(service: Service) -> str:
    """The port that the check asks."""
    check = haproxy_config.ingress_check(service.health)
    first = service.ports[0].name if service.ports else ""
    return (check.port or first) if check else ""


def merged(before: Membership, after: Membership) -> Membership:
    """Every listener with all servers that it has in either: the most that it may have on the way."""
    merged_membership: dict[str, Listeners] = {}
    for service in {*before, *after}:
        by_address: dict[tuple[str, str, int], Listener] = {}
        for listener in (*before.get(service, ()), *after.get(service, ())):
            key = (listener.name, listener.bind, listener.port)
            earlier_servers = by_address[key].servers if key in by_address else ()
            by_name = {server.name: server for server in (*earlier_servers, *listener.servers)}
            by_address[key] = replace(listener, servers=tuple(by_name.values()))
        merged_membership[service] = tuple(by_address.values())
    return merged_membership


def server_names(membership: Membership) -> set[str]:
    """The keys of everybody who is behind any listener."""
    return {server.name for listener in all_listeners(membership) for server in listener.servers}


def all_listeners(membership: Membership) -> Iterator[Listener]:
    """The listeners of all services, by the name of the service."""
    return (listener for service in sorted(membership) for listener in membership[service])


def may_exceed_limit(memberships: Iterable[Membership]) -> bool:
    """Whether it is worth looking how long the text of these is: for each part of it more is counted than it takes."""
    listeners = [listener for membership in memberships for listener in all_listeners(membership)]
    server_count = sum(len(listener.servers) for listener in listeners)
    length = _MAX_SECTION_BYTES * len(listeners) + _MAX_LINE_BYTES * server_count
    return length > haproxy_config.MAX_CONFIG_BYTES


def render_config(owner: str, membership: Membership) -> str:
    """The text of an ingress with this membership; empty where there is nothing to listen for."""
    return haproxy_config.render(owner, all_listeners(membership))


def config_digest(owner: str, membership: Membership) -> str:
    """What a running ingress with this membership is recognised by."""
    return haproxy_config.config_digest(render_config(owner, membership))


def _server(member: Member, port: str, checked_port: str) -> Server:
    address, number = member.ports[port]
    _, check_number = member.ports.get(checked_port, ("", 0))
    return Server(
        name=member.key, address=address, port=number, check_port=0 if check_number == number else check_number
    )
