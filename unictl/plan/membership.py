"""Who answers behind an ingress: listeners of a service for given members, and their JSON form. Pure.

A plan carries membership as values, never as text: what a host's ingress is to be is composed from the membership
before the first step and the steps done since, so that a branch that failed cannot make another's text wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from unictl.fleet.model import Fleet, Port, Probe, Service
from unictl.instances.desired import Located
from unictl.instances.live import LiveInstance
from unictl.plan import ingress
from unictl.plan.ingress import Listener, Server

LOOPBACK = "127.0.0.1"
_PROBE = {field.name: field.default for field in fields(Probe)}

Listeners = Sequence[Mapping[str, Any]]
"""The listeners of one service in their JSON form."""
Membership = Mapping[str, Listeners]
"""Listeners by service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An instance that an ingress sends to: ``ports`` are name -> (address, number), as every host reaches them."""

    key: str
    ports: Mapping[str, tuple[str, int]]


def member(fleet: Fleet, instance: LiveInstance | Located) -> Member:
    """The member that an instance is, live or planned."""
    host = fleet.hosts.get(instance.host)
    own = (host.address if host and len(fleet.hosts) > 1 else "") or LOOPBACK
    ports = {
        str(f["name"]): (str(f["bind"]) if f.get("bind") not in (None, "", "0.0.0.0") else own, int(f["host"]))
        for f in instance.forwards
        if not f.get("udp")
    }
    return Member(key=instance.key, ports=ports)


def routed(service: Service) -> tuple[Port, ...]:
    """The ports of a service that an ingress listens for: a job has none."""
    return () if service.kind == "job" else tuple(port for port in service.ports if not port.udp)


def listeners(service: Service, endpoints: Mapping[str, int], members: Iterable[Member]) -> list[dict[str, Any]]:
    """Every listener of a service, endpoints and published, with these members; there even when nobody answers."""
    check = ingress.check_of(service.health)
    asked = (check.port or _only(service)) if check else ""
    ordered = sorted(members, key=lambda each: each.key)
    found: list[dict[str, Any]] = []
    for port in routed(service):
        servers = [_server(each, port.name, asked) for each in ordered if port.name in each.ports]
        mode = ingress.mode_of(check) if asked == port.name else "tcp"
        shared = {"mode": mode, "check": _plain(check), "drain": service.update.drain, "servers": servers}
        name = f"{service.name}.{port.name}"
        if name in endpoints:
            found.append({"name": name, "bind": LOOPBACK, "port": endpoints[name], **shared})
        found += [{"name": name, "bind": "*", "port": p.port, **shared} for p in service.publish if p.to == port.name]
    return found


def orphans(name: str, endpoints: Mapping[str, int], members: Sequence[Member]) -> list[dict[str, Any]]:
    """The endpoints of a service that the fleet no longer has, as far as its instances tell: until they are gone."""
    ports = sorted({port for each in members for port in each.ports if f"{name}.{port}" in endpoints})
    ordered = sorted(members, key=lambda each: each.key)
    return [
        {
            "name": f"{name}.{port}",
            "bind": LOOPBACK,
            "port": endpoints[f"{name}.{port}"],
            "mode": "tcp",
            "check": None,
            "drain": 10_000,
            "servers": [_server(each, port, "") for each in ordered if port in each.ports],
        }
        for port in ports
    ]


def compose(owner: str, membership: Membership) -> str:
    """The text of an ingress with this membership; empty where there is nothing to listen for."""
    return ingress.text(owner, (decode(row) for name in sorted(membership) for row in membership[name]))


def digest(owner: str, membership: Membership) -> str:
    """What a running ingress with this membership is recognised by."""
    return ingress.digest(compose(owner, membership))


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


def _only(service: Service) -> str:
    return service.ports[0].name if service.ports else ""


def _server(each: Member, port: str, asked: str) -> dict[str, Any]:
    address, number = each.ports[port]
    _, check = each.ports.get(asked, ("", 0))
    row = {"name": each.key, "address": address, "port": number}
    return {**row, "check_port": check} if check and check != number else row


def _plain(check: Probe | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return {key: value for key in _PROBE if (value := getattr(check, key)) != _PROBE[key]}
