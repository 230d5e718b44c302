"""What a plan carries besides what it does: for display, and for an apply of the saved plan. In no hash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import index
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSource:
    """Where a secret is read from: one of the two is empty."""

    env: str = ""
    """The environment variable."""
    file: str = ""
    """The file, relative to the fleet's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCost:
    """What asking one host took."""

    round_trips: int
    took_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFacts:
    """What is known around a plan."""

    places: Mapping[str, str] = field(default_factory=dict)
    """Dotted path in the fleet file -> ``file:line:column``."""
    folder: str = ""
    """The fleet's folder, absolute."""
    relocked: tuple[str, ...] = ()
    """What was written into fleet.lock when the plan was made, in words."""
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    """Where each secret of the fleet is read from."""
    images: tuple[str, ...] = ()
    """The digests of all images that the fleet boots from: hosts keep these."""
    seconds: int | None = None
    """About how long an apply takes; None if nothing tells."""
    seconds_at_least: str = ""
    """Why ``seconds`` is a lower bound: ``checks`` (no history: only health checks count), ``unseen`` (some kind of
    step was never done). Empty: it is none."""
    failed_before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Service -> fingerprints that failed a health gate in an earlier apply: success takes that back."""
    reached: Mapping[str, QueryCost] = field(default_factory=dict)
    """What asking each host took."""

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file: what is not known is left out."""
        secrets = {name: {"env": secret.env, "file": secret.file} for name, secret in self.secrets.items()}
        reached = {
            host: {"round_trips": cost.round_trips, "took_ms": cost.took_ms} for host, cost in self.reached.items()
        }
        optional = {
            "folder": self.folder,
            "relocked": list(self.relocked),
            "secrets": secrets,
            "images": list(self.images),
            "seconds_at_least": self.seconds_at_least,
            "failed_before": {service: list(digests) for service, digests in self.failed_before.items()},
            "reached": reached,
        }
        duration = {} if self.seconds is None else {"seconds": self.seconds}
        return {
            "places": dict(self.places),
            **duration,
            **{key: value for key, value in optional.items() if value},
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "PlanFacts":
        """What ``to_json`` wrote. No hash covers it, so its shape is checked."""
        seconds = plain.get("seconds")
        return cls(
            places={str(path): str(place) for path, place in plain.get("places", {}).items()},
            folder=str(plain.get("folder", "")),
            relocked=tuple(map(str, plain.get("relocked", ()))),
            secrets={
                name: SecretSource(env=secret["env"], file=secret["file"])
                for name, secret in plain.get("secrets", {}).items()
            },
            images=tuple(map(str, plain.get("images", ()))),
            seconds=None if seconds is None else index(seconds),
            seconds_at_least=str(plain.get("seconds_at_least", "")),
            failed_before={
                service: tuple(map(str, digests)) for service, digests in plain.get("failed_before", {}).items()
            },
            reached={
                host: QueryCost(round_trips=index(cost["round_trips"]), took_ms=index(cost["took_ms"]))
                for host, cost in plain.get("reached", {}).items()
            },
        )
