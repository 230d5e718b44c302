"""Members of an ingress: the listeners of a service for a set of instances, and their JSON form. Pure.

A plan stores membership as values and never as configuration text. The configuration of a host is composed from the
membership before the first step and the steps done since, so a failed branch cannot corrupt the text of another
one.
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from unictl.fleet.model import Fleet, Port, Probe, Service
from unictl.instances.desired.instance import Located
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.ingress import haproxy_config
from unictl.plan.ingress.haproxy_config import Listener, Server

LOOPBACK = "127.0.0.1"
_ANY = (None, "", "0.0.0.0")
_SECTION, _LINE = 1200, 200
"""Bytes of a section without instances, and of the line of one, at most."""
_PROBE = {field.name: field.default for field in fields(Probe)}

Listeners = Sequence[Mapping[str, Any]]
"""The listeners of one service in their JSON form."""
Place = tuple[str, str]
"""An instance's key, and its host: two hosts may show one key."""
Membership = Mapping[str, Listeners]
"""Listeners by service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An instance that an ingress sends to: ``ports`` are name -> (address, number), as every host reaches them."""

    key: str
    ports: Mapping[str, tuple[str, int]]


def member(fleet: Fleet, instance: LiveInstance | Located) -> Member:
    """The member that an instance is, live or planned."""
    ports = {}
    for forward in instance.forwards:
        if not forward.get("udp"):
            bind = forward.get("bind")
            address = _address(fleet, instance.host) if bind in _ANY else str(bind)
            ports[str(forward["name"])] = (address, int(forward["host"]))
    return Member(key=instance.key, ports=ports)


def _address(fleet: Fleet, host: str) -> str:
    """Where a host's ports are reached that listen everywhere."""
    declared = fleet.hosts.get(host)
    return (declared.address if declared and len(fleet.hosts) > 1 else "") or LOOPBACK


def routed(service: Service) -> tuple[Port, ...]:
    """The ports of a service that an ingress listens for: a job has none."""
    return () if service.kind == "job" else tuple(port for port in service.ports if not port.udp)


class Roster:
    """The members of one service while a plan is made, and their listeners at any moment of it.

    A service that is gone, or has no ports any more, keeps its endpoints as long as its old instances are there; one
    that ``goes`` keeps all its listeners as long, so that nothing has to listen anew for somebody to leave.
    """

    def __init__(self, name: str, service: Service | None, endpoints: Mapping[str, int], *, goes: bool = False):
        self._name = name
        self._goes = goes
        self._endpoints = endpoints
        self._forms = _forms(service, endpoints) if service else []
        self.routed = service is None or service.kind != "job"
        self._orphaned = service is None or not routed(service)
        self._asked = _asked(service) if service else ""
        self._members: dict[Place, Member] = {}
        self._order: list[Place] = []
        self._rows: dict[tuple[Place, str], dict[str, Any]] = {}

    def join(self, host: str, member: Member) -> None:
        """One more; nobody sends to a job."""
        place = (member.key, host)
        if not self.routed:
            return
        if place not in self._members:
            insort(self._order, place)
        self._members[place] = member

    def leave(self, host: str, key: str) -> None:
        """One less; who is not there is no matter."""
        if self._members.pop((key, host), None) is not None:
            self._order.remove((key, host))

    def listeners(self) -> list[dict[str, Any]]:
        """Every listener, endpoints and published, with who is a member now; there even when nobody answers."""
        if self._goes and not self._members:
            return []
        forms = self._orphans() if self._orphaned else self._forms
        return [{**form, "servers": self._servers(port)} for port, form in forms]

    def rows(self, member: Member) -> dict[str, Mapping[str, Any]]:
        """How a member stands in the listeners of its ports: listener -> server."""
        ports = {form["name"]: port for port, form in self._forms}
        return {name: _server(member, port, self._asked) for name, port in ports.items() if port in member.ports}

    def _servers(self, port: str) -> list[dict[str, Any]]:
        return [self._server(place, port) for place in self._order if port in self._members[place].ports]

    def _server(self, place: Place, port: str) -> dict[str, Any]:
        row = self._rows.get((place, port))
        if row is None:
            row = self._rows[place, port] = _server(self._members[place], port, self._asked)
        return row

    def _orphans(self) -> list[tuple[str, dict[str, Any]]]:
        ports = sorted({port for each in self._members.values() for port in each.ports})
        names = ((port, f"{self._name}.{port}") for port in ports)
        plain = {"bind": LOOPBACK, "mode": "tcp", "check": None, "drain": 10_000}
        return [(p, {"name": n, "port": self._endpoints[n], **plain}) for p, n in names if n in self._endpoints]


def _forms(service: Service, endpoints: Mapping[str, int]) -> list[tuple[str, dict[str, Any]]]:
    """(port, listener without its servers) of every listener of a service."""
    check = haproxy_config.check_of(service.health)
    found: list[tuple[str, dict[str, Any]]] = []
    for port in routed(service):
        mode = haproxy_config.mode_of(check) if _asked(service) == port.name else "tcp"
        shared = {"mode": mode, "check": _plain(check), "drain": service.update.drain}
        name = f"{service.name}.{port.name}"
        if name in endpoints:
            found.append((port.name, {"name": name, "bind": LOOPBACK, "port": endpoints[name], **shared}))
        published = (p.port for p in service.publish if p.to == port.name)
        found += [(port.name, {"name": name, "bind": "*", "port": number, **shared}) for number in published]
    return found


def swapped(listeners: Listeners, swap: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Listeners with some servers more and some less: ``in`` are servers by listener, ``out`` are keys."""
    found: list[Mapping[str, Any]] = []
    for row in listeners:
        new = swap["in"].get(row["name"], ())
        gone = {*swap["out"], *(server["name"] for server in new)}
        kept = [server for server in row["servers"] if server["name"] not in gone]
        found.append({**row, "servers": sorted([*kept, *new], key=lambda server: str(server["name"]))})
    return found


def _asked(service: Service) -> str:
    """The port that the check asks."""
    check = haproxy_config.check_of(service.health)
    first = service.ports[0].name if service.ports else ""
    return (check.port or first) if check else ""


def together(before: Membership, after: Membership) -> dict[str, list[Mapping[str, Any]]]:
    """Every listener with all servers that it has in either: the most that it may have on the way."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for service in {*before, *after}:
        rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        for row in (*before.get(service, ()), *after.get(service, ())):
            key = (row["name"], row["bind"], row["port"])
            servers = {each["name"]: each for each in (*rows.get(key, {"servers": ()})["servers"], *row["servers"])}
            rows[key] = {**row, "servers": list(servers.values())}
        found[service] = list(rows.values())
    return found


def long(those: Iterable[Membership]) -> bool:
    """Whether it is worth looking how long the text of these is: for each part of it more is counted than it takes."""
    rows = [row for each in those for listeners in each.values() for row in listeners]
    return _SECTION * len(rows) + _LINE * sum(len(row["servers"]) for row in rows) > haproxy_config.LONGEST


def compose(owner: str, membership: Membership) -> str:
    """The text of an ingress with this membership; empty where there is nothing to listen for."""
    return haproxy_config.text(owner, (decode(row) for name in sorted(membership) for row in membership[name]))


def digest(owner: str, membership: Membership) -> str:
    """What a running ingress with this membership is recognised by."""
    return haproxy_config.digest(compose(owner, membership))


def decode(row: Mapping[str, Any]) -> Listener:
    """A Listener of its JSON form."""
    mode: Literal["http", "tcp"] = "http" if row["mode"] == "http" else "tcp"
    return Listener(
        name=row["name"],
        bind=row["bind"],
        port=row["port"],
        mode=mode,
        drain=row["drain"],
        check=Probe(**row["check"]) if row["check"] else None,
        servers=tuple(Server(**server) for server in row["servers"]),
    )


def _server(each: Member, port: str, asked: str) -> dict[str, Any]:
    address, number = each.ports[port]
    _, check = each.ports.get(asked, ("", 0))
    row = {"name": each.key, "address": address, "port": number}
    return {**row, "check_port": check} if check and check != number else row


def _plain(check: Probe | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return {key: value for key in _PROBE if (value := getattr(check, key)) != _PROBE[key]}
