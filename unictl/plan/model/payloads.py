"""What a step acts with besides its host and subject: one form for each kind of step that needs any.

``to_json`` and ``from_json`` serve the plan file and the messages to hosts; everything else reads the fields.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Self

from unictl.instances.launch.probes import ProbeRow
from unictl.instances.launch_record import LaunchDocument
from unictl.plan.model.ingress import Membership, ServerSwap


@dataclass(frozen=True, slots=True, kw_only=True)
class StepData:
    """What all of them have in common: nothing but that they are kept with their step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileData(StepData):
    """Data with a JSON form: a field without a default is always written, another only where it is not at it."""

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file."""
        values = ((item, getattr(self, item.name)) for item in fields(self))
        return {_json_key(item): _as_list(value) for item, value in values if value != item.default}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The data that ``to_json`` wrote; a TypeError where a field is missing that has to be there."""
        keys = ((item.name, _json_key(item)) for item in fields(cls))
        return cls(**{name: _as_tuple(plain[key]) for name, key in keys if key in plain})


def _json_key(item: Field[Any]) -> str:
    return str(item.metadata.get("key", item.name))


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class StageData(FileData):
    """An image that is brought."""

    digest: str
    size: int
    """Its bytes; 0: not known."""
    similar_digests: tuple[str, ...] = field(default=(), metadata={"key": "like"})
    """Images on the host that it may resemble: what they have in common does not travel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeData(FileData):
    """A volume that is created."""

    volume: str
    """Its name."""
    size: int
    """Its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteData(FileData):
    """A volume that is deleted."""

    volume: str
    """Its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchData(FileData):
    """An instance that is launched."""

    document: LaunchDocument
    """Its launch document."""
    secrets: tuple[str, ...]
    """The names of the secrets that it is given."""

    @property
    def key(self) -> str:
        """Instance and generation, ``api-2.7f3c9a1b``."""
        return f"{self.document['name']}.{self.document['generation']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateData(FileData):
    """The health gate: what an instance has to pass before it counts as healthy. Durations in milliseconds."""

    key: str
    """Instance and generation."""
    probes: tuple[ProbeRow, ...]
    min_healthy_time: int
    """How long it has to be healthy."""
    healthy_deadline: int
    """How long it may take."""
    job: bool = False
    """Whether it passes by exiting successfully."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressData(FileData):
    """What the ingress of a host serves from then on, of the services that the step is about."""

    services: Membership
    """Their listeners. A plan file has every server of them once, beside the steps."""
    drain: int | None = None
    """Milliseconds that connections of leaving servers may last; None of a step where nobody leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapData(StepData):
    """What a rollback changes of an ingress, whatever is behind it by then. It is made during an apply, so no plan
    file has it."""

    swaps: Mapping[str, ServerSwap]
    """By service."""
    drain: int | None = None
    """As in ``IngressData``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireData(FileData):
    """A generation that is taken down."""

    key: str
    """Instance and generation."""
    grace: int
    """Milliseconds that it has to end by itself."""
    keep: int
    """How many retired generations the host keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarksData(FileData):
    """What is noted on the record of an instance."""

    key: str
    """Instance and generation."""
    protect: bool
    """Whether it is protected."""
    commit: str | None = None
    """The commit of the fleet files; None: what is noted stays."""
    checks: tuple[str, ...] | None = None
    """The kinds of health check that its service has; None: what is noted stays."""

    def marks(self) -> dict[str, Any]:
        """What is noted, as a host is told it."""
        return {key: value for key, value in self.to_json().items() if key != "key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberData(FileData):
    """What a host remembers of the fleet once the plan is applied."""

    policy: Mapping[str, object]
    """The policy that was applied."""
    hosts: tuple[str, ...]
    """The hosts of the fleet, each as ``NAME HOST-ID``, with ``leaving`` and ``ingress`` where that holds."""
    fleet: Mapping[str, str] | None = None
    """The mark and id of the fleet from then on, where it was renamed."""
