"""A wave in the plan: the instances that are done together, and what takes them back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unictl.plan.model.rollback import RollbackRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRecord:
    """One wave of a service, as an apply and the views read it."""

    service: str
    number: int
    """Its number within the service, from 1."""
    instances: tuple[str, ...]
    """The names of the instances in it."""
    is_canary: bool = False
    """Whether it is tried before the other waves."""
    drain: int = 0
    """Milliseconds that connections of a leaving instance may last."""
    progress_deadline: int = 0
    """Milliseconds within which the wave must be healthy."""
    related_services: tuple[str, ...] = ()
    """The services that it needs or that its instances know the endpoints of: old and new of them may not match."""
    rollback: RollbackRecord

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file."""
        return {
            "service": self.service,
            "wave": self.number,
            "instances": list(self.instances),
            "canary": self.is_canary,
            "drain": self.drain,
            "progress_deadline": self.progress_deadline,
            "with": list(self.related_services),
            "undo": self.rollback.to_json(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "WaveRecord":
        """The wave that ``to_json`` wrote."""
        return cls(
            service=plain["service"],
            number=plain["wave"],
            instances=tuple(plain["instances"]),
            is_canary=plain.get("canary", False),
            drain=plain.get("drain", 0),
            progress_deadline=plain.get("progress_deadline", 0),
            related_services=tuple(plain.get("with", ())),
            rollback=RollbackRecord.from_json(plain["undo"]),
        )
