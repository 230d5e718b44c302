"""What an ingress listens on, and the servers behind it, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from unictl.fleet.model import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One healthy instance behind a listener."""

    name: str
    """The instance's key, ``api-2.7f3c9a1b``."""
    address: str
    port: int
    check_port: int = 0
    """The port that its check asks, if that is another than ``port``."""

    def to_json(self) -> dict[str, Any]:
        """Its JSON form: most servers are checked on the port that they serve on."""
        plain = {"name": self.name, "address": self.address, "port": self.port}
        return {**plain, "check_port": self.check_port} if self.check_port else plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Server":
        """The server that ``to_json`` wrote."""
        return cls(
            name=plain["name"],
            address=plain.get("address", ""),
            port=plain["port"],
            check_port=plain.get("check_port", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address that leads to a service's port: an endpoint or a published port.

    Without servers it still listens, and answers 503 in mode http.
    """

    name: str
    """``SERVICE.PORT``."""
    bind: str
    """127.0.0.1 for an endpoint, ``*`` for a published port."""
    port: int
    servers: tuple[Server, ...] = ()
    mode: Literal["http", "tcp"] = "tcp"
    check: Probe | None = None
    """How the ingress checks each server; None: it only connects."""
    drain: int = 10_000
    """Milliseconds that connections of a leaving server may last."""

    def to_json(self, server_numbers: Sequence[int]) -> dict[str, Any]:
        """Its JSON form; the plan file has every server once and names it by number."""
        return {
            "name": self.name,
            "bind": self.bind,
            "port": self.port,
            "servers": list(server_numbers),
            "mode": self.mode,
            "check": _check_json(self.check) if self.check else None,
            "drain": self.drain,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], servers: Sequence[Server]) -> "Listener":
        """The listener that ``to_json`` wrote; ``servers`` by their numbers."""
        check = plain.get("check")
        return cls(
            name=plain["name"],
            bind=plain["bind"],
            port=plain["port"],
            servers=tuple(servers[number] for number in plain["servers"]),
            mode="http" if plain.get("mode") == "http" else "tcp",
            check=Probe(**check) if check else None,
            drain=plain.get("drain", 10_000),
        )


Listeners = tuple[Listener, ...]
"""The listeners of one service."""
Membership = Mapping[str, Listeners]
"""Listeners by service: all that an ingress serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSwap:
    """Servers that replace others behind one service, whatever else is behind it by then."""

    joining: Mapping[str, tuple[Server, ...]]
    """Listener -> the servers that join it."""
    leaving: tuple[str, ...] = ()
    """The keys of the instances that leave every listener."""


def _check_json(check: Probe) -> dict[str, Any]:
    values = ((field, getattr(check, field.name)) for field in fields(Probe))
    return {field.name: value for field, value in values if field.default is MISSING or value != field.default}
