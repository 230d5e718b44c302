"""What rolls a wave back, decided while planning, so that an apply needs no further decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unictl.instances.launch_record import LaunchDocument
from unictl.plan.model.ingress import Server
from unictl.plan.model.payloads import GateData

ServerByListener = Mapping[str, Server]
"""How one instance stands behind an ingress: listener -> its server there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackInstance:
    """One instance that a rollback launches again."""

    name: str
    """The instance, ``api-2``."""
    key: str
    """The generation that the rollback launches."""
    new_key: str
    """The generation that the rollout launched, and the rollback removes."""
    old_key: str
    """The generation that ran before the rollout."""
    spec_differs: bool
    """Whether old and new were launched from different specifications. If not, only the generation is another."""
    stops_first: bool
    """Whether the new one has to go before the old one can run again."""
    host: str
    document: LaunchDocument
    """Its launch document."""
    secrets: tuple[str, ...]
    """The names of the secrets that it is given."""
    health_gate: GateData
    """The health gate that it has to pass."""
    servers: ServerByListener
    """How it stands behind an ingress once it is healthy."""

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file."""
        return {
            "name": self.name,
            "key": self.key,
            "new": self.new_key,
            "old": self.old_key,
            "differs": self.spec_differs,
            "stop": self.stops_first,
            "host": self.host,
            "document": self.document,
            "secrets": list(self.secrets),
            "proof": self.health_gate.to_json(),
            "servers": _servers_json(self.servers),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "RollbackInstance":
        """The instance that ``to_json`` wrote."""
        return cls(
            name=plain["name"],
            key=plain["key"],
            new_key=plain["new"],
            old_key=plain["old"],
            spec_differs=plain["differs"],
            stops_first=plain["stop"],
            host=plain["host"],
            document=plain["document"],
            secrets=tuple(plain["secrets"]),
            health_gate=GateData.from_json(plain["proof"]),
            servers=_decode_servers(plain["servers"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRecord:
    """What takes one wave back."""

    reverts_after_later_failure: bool = True
    """Whether the wave, once it is done, is taken back when a later one fails (``update.auto_revert``)."""
    old_servers: Mapping[str, ServerByListener]
    """How the old generations stand behind an ingress, by key: a rollback puts back those that left it already."""
    remove: tuple[str, ...]
    """The keys of the new generations, which a rollback removes."""
    additions: tuple[str, ...]
    """Those of them that replace nothing: removing them is all of their rollback."""
    already_present: tuple[str, ...]
    """Those of them that an earlier apply recorded or launched, so they may be behind an ingress already."""
    relaunch: tuple[RollbackInstance, ...]
    """What is launched again from its previous specification."""
    irreversible: Mapping[str, str]
    """Instance -> why it stays new once its wave is done."""
    max_down: int = 1
    """Stop-first: at most so many are down at once."""
    max_beside: int = 1
    """Create-first: at most so many old ones run beside their new ones at once."""
    summary: str = ""
    """All of it for people, in one line."""

    @property
    def reverted(self) -> tuple[RollbackInstance, ...]:
        """The instances that get a previous specification back, not only another generation of the same."""
        return tuple(instance for instance in self.relaunch if instance.spec_differs)

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file."""
        return {
            "revert": self.reverts_after_later_failure,
            "servers": {key: _servers_json(servers) for key, servers in self.old_servers.items()},
            "remove": list(self.remove),
            "fresh": list(self.additions),
            "found": list(self.already_present),
            "back": [instance.to_json() for instance in self.relaunch],
            "stays": dict(self.irreversible),
            "down": self.max_down,
            "beside": self.max_beside,
            "line": self.summary,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "RollbackRecord":
        """The record that ``to_json`` wrote; plan files of the first format have only ``remove``."""
        return cls(
            reverts_after_later_failure=plain.get("revert", True),
            old_servers={key: _decode_servers(servers) for key, servers in plain.get("servers", {}).items()},
            remove=tuple(plain["remove"]),
            additions=tuple(plain.get("fresh", ())),
            already_present=tuple(plain.get("found", ())),
            relaunch=tuple(RollbackInstance.from_json(instance) for instance in plain.get("back", ())),
            irreversible=dict(plain.get("stays", {})),
            max_down=plain.get("down", 1),
            max_beside=plain.get("beside", 1),
            summary=plain.get("line", ""),
        )


def _servers_json(servers: ServerByListener) -> dict[str, Any]:
    return {listener: server.to_json() for listener, server in servers.items()}


def _decode_servers(plain: Mapping[str, Any]) -> ServerByListener:
    return {listener: Server.from_json(server) for listener, server in plain.items()}
