"""What a plan holds of one host: how it is reached, what the plan relies on there, and how tight it gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any

from unictl.fleet.model import ConnectionAddress, Retention

_RETENTION = Retention()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHost:
    """A host that the plan touches or gets an image from: all that an apply needs to reach it without the fleet."""

    host_id: str
    """The id of its store; an apply refuses another machine of the same name."""
    connect: ConnectionAddress
    root: str = ""
    """The folder of the store; empty for the default."""
    become: bool = False
    """Whether sudo is used."""
    address: str = ""
    """Where other hosts and clients reach it."""
    keep_retired: int = _RETENTION.retired
    """So many ended instances of each name are kept."""
    keep_images: int = _RETENTION.images
    """The images of so many revisions are kept."""

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file."""
        connect = self.connect
        return {
            "host_id": self.host_id,
            "connect": {"kind": connect.kind, "host": connect.host, "user": connect.user, "port": connect.port},
            "root": self.root,
            "become": self.become,
            "address": self.address,
            "keep": {"retired": self.keep_retired, "images": self.keep_images},
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "PlanHost":
        """The host that ``to_json`` wrote."""
        connect, keep = plain["connect"], plain.get("keep", {})
        return cls(
            host_id=plain["host_id"],
            connect=ConnectionAddress(
                kind=connect["kind"], host=connect["host"], user=connect["user"], port=connect["port"]
            ),
            root=plain.get("root", ""),
            become=plain.get("become", False),
            address=plain.get("address", ""),
            keep_retired=keep.get("retired", _RETENTION.retired),
            keep_images=keep.get("images", _RETENTION.images),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPreconditions:
    """What the plan relies on of one instance's record."""

    fingerprint: str
    state: str
    """The class of its state: running, begun, ended, lost."""
    proven: bool
    """Whether it passed its health gate."""
    protect: bool
    """Whether it is protected."""

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file."""
        return {
            "fingerprint": self.fingerprint,
            "state": self.state,
            "proven": self.proven,
            "protect": self.protect,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "RecordPreconditions":
        """What ``to_json`` wrote."""
        return cls(
            fingerprint=plain["fingerprint"],
            state=plain["state"],
            proven=plain["proven"],
            protect=plain["protect"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPreconditions:
    """What the plan relies on at one host. An apply surveys again, and any difference makes the plan stale."""

    host_id: str
    records: Mapping[str, RecordPreconditions]
    """By the instance's key."""
    ports: Mapping[int, str]
    """The ports that the plan's steps need -> who else holds them; empty: nobody."""
    ingress: str = ""
    """The hash of the configuration of the running ingress; empty if none runs."""
    volumes: Mapping[str, str]
    """Volume -> the key of the instance that uses it; empty: nobody."""

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file."""
        return {
            "host_id": self.host_id,
            "records": {key: record.to_json() for key, record in self.records.items()},
            "ports": {str(port): holder for port, holder in self.ports.items()},
            "ingress": self.ingress,
            "volumes": dict(self.volumes),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "HostPreconditions":
        """What ``to_json`` wrote."""
        return cls(
            host_id=plain["host_id"],
            records={key: RecordPreconditions.from_json(record) for key, record in plain["records"].items()},
            ports={int(port): holder for port, holder in plain.get("ports", {}).items()},
            ingress=plain.get("ingress", ""),
            volumes=dict(plain.get("volumes", {})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What is free on one host at the tightest moment of the rollout."""

    memory: int
    """Bytes free for the fleet; below 0 where more is promised already."""
    total_memory: int
    """Bytes that the fleet may have there in all."""
    cpus: int
    """Cpus promised."""
    cores: int
    """Cores that the host has."""
    disk: int
    """Bytes free beside the volumes that are made; images are not counted."""

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file."""
        return {
            "memory": self.memory,
            "of": self.total_memory,
            "cpus": self.cpus,
            "cores": self.cores,
            "disk": self.disk,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Headroom":
        """What ``to_json`` wrote. No hash covers these numbers, so each is checked."""
        return cls(
            memory=index(plain["memory"]),
            total_memory=index(plain["of"]),
            cpus=index(plain["cpus"]),
            cores=index(plain["cores"]),
            disk=index(plain["disk"]),
        )
