"""One step of a plan, as data, and the kinds of steps with their traits. `execution` carries steps out."""

from dataclasses import dataclass
from enum import Enum
from typing import NewType, TypeVar

from unictl.plan.model.payloads import (
    DeleteData,
    GateData,
    IngressData,
    LaunchData,
    MarksData,
    RememberData,
    RetireData,
    StageData,
    StepData,
    VolumeData,
)
from unictl.plan.model.step_traits import StepGroup, StepTraits, StepWords, Subject

StepId = NewType("StepId", str)
"""The id of a step: readable, and unique within a plan and its rollbacks. Only ``step_ids`` makes one."""
StepIds = tuple[StepId, ...]
_Data = TypeVar("_Data", bound=StepData)

WHOLE_INGRESS = "ingress"
"""The subject of a step that writes the ingress of a host for all services."""


_INGRESS_GROUP = StepGroup(name="ingress", title="ingress", noun="host", style="adjust")


class StepKind(Enum):
    """The kinds of steps, each with its traits."""

    traits: StepTraits

    def __new__(cls, value: str, traits: StepTraits) -> "StepKind":
        """A member: its value in the plan file, and its traits."""
        member = object.__new__(cls)
        member._value_ = value
        member.traits = traits
        return member

    STAGE = (
        "stage",
        StepTraits(
            words=StepWords(doing="bring the image to", done="image is on", failed="could not be brought to"),
            subject=Subject.IMAGE,
            data_type=StageData,
            group=StepGroup(name="stage", title="bring images", noun="image file", style="adjust", counts_hosts=True),
            is_slow=True,
            fails_wave=True,
        ),
    )
    VOLUME = (
        "volume",
        StepTraits(
            words=StepWords(doing="create the volume on", done="volume created on", failed="could not be created on"),
            subject=Subject.VOLUME,
            data_type=VolumeData,
            is_part_of_wave=True,
            first_wave=1,
            fails_wave=True,
            moves_capacity=True,
        ),
    )
    LAUNCH = (
        "launch",
        StepTraits(
            words=StepWords(doing="launch on", done="launched on", failed="could not be launched on"),
            subject=Subject.INSTANCE,
            data_type=LaunchData,
            style="create",
            is_part_of_wave=True,
            is_slow=True,
            starts_instance=True,
            fails_wave=True,
            moves_capacity=True,
        ),
    )
    PROVE = (
        "prove",
        StepTraits(
            words=StepWords(doing="wait until it is healthy on", done="healthy on", failed="did not become healthy on"),
            subject=Subject.INSTANCE,
            data_type=GateData,
            style="create",
            is_part_of_wave=True,
            is_slow=True,
            only_waits=True,
            starts_instance=True,
            fails_wave=True,
        ),
    )
    JOIN = (
        "join",
        StepTraits(
            words=StepWords(
                doing="put it behind the ingress of",
                done="behind the ingress of",
                failed="could not be put behind the ingress of",
            ),
            subject=Subject.SERVICE,
            data_type=IngressData,
            style="adjust",
            group=_INGRESS_GROUP,
            is_part_of_wave=True,
            is_slow=True,
            fails_wave=True,
            writes_ingress=True,
        ),
    )
    LEAVE = (
        "leave",
        StepTraits(
            words=StepWords(
                doing="take it out of the ingress of",
                done="out of the ingress of",
                failed="could not be taken out of the ingress of",
            ),
            subject=Subject.SERVICE,
            data_type=IngressData,
            style="adjust",
            group=_INGRESS_GROUP,
            is_part_of_wave=True,
            is_slow=True,
            writes_ingress=True,
        ),
    )
    RETIRE = (
        "retire",
        StepTraits(
            words=StepWords(doing="take it down on", done="taken down on", failed="could not be taken down on"),
            subject=Subject.INSTANCE,
            data_type=RetireData,
            style="destroy",
            is_part_of_wave=True,
            is_slow=True,
            moves_capacity=True,
        ),
    )
    MARK = (
        "mark",
        StepTraits(
            words=StepWords(doing="note on", done="noted on", failed="could not be noted on"),
            subject=Subject.MARKS,
            data_type=MarksData,
            style="adjust",
            group=StepGroup(name="marks", title="marks", noun="instance", style="adjust"),
        ),
    )
    DELETE = (
        "delete",
        StepTraits(
            words=StepWords(doing="delete the volume on", done="volume deleted on", failed="could not be deleted on"),
            subject=Subject.VOLUME,
            data_type=DeleteData,
            style="destroy",
            group=StepGroup(name="delete", title="delete volumes", noun="volume", style="destroy"),
        ),
    )
    REMEMBER = (
        "remember",
        StepTraits(
            words=StepWords(
                doing="note what was applied on", done="noted what was applied on", failed="could not be noted on"
            ),
            subject=Subject.POLICY,
            data_type=RememberData,
        ),
    )
    CLOSE = (
        "close",
        StepTraits(
            words=StepWords(doing="leave", done="the fleet has left it", failed="could not leave"),
            subject=Subject.HOST,
            style="destroy",
            group=StepGroup(name="close", title="leave hosts", noun="host", style="destroy"),
        ),
    )
    BARRIER = (
        "barrier",
        StepTraits(
            words=StepWords(doing="wait for", done="reached", failed="was not reached on"),
            subject=Subject.BARRIER,
            acts=False,
        ),
    )


_JOB_WORDS = StepWords(doing="wait until it has ended well on", done="ended well on", failed="did not end well on")
_WHOLE_INGRESS_WORDS = StepWords(
    doing="write it anew on", done="written anew on", failed="could not be written anew on"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node of the plan's graph."""

    id: StepId
    kind: StepKind
    host: str = ""
    subject: str = ""
    """What it is about (``traits.subject``)."""
    service: str = ""
    wave: int = 0
    """Counts from 1 within the service; 0 is what makes way before the first."""
    undo: bool = False
    """Whether it is a step of a rollback, which is walked only where a wave has failed."""
    data: StepData | None = None
    """What it acts with besides; None where host and subject say all."""
    needs: StepIds = ()
    """The steps that must have ended well before this one begins."""

    @property
    def traits(self) -> StepTraits:
        """The traits of its kind."""
        return self.kind.traits

    def data_as(self, data_type: type[_Data]) -> _Data:
        """Its data, which is of this form; a TypeError where it is not."""
        if not isinstance(self.data, data_type):
            raise TypeError(f"{self.id} has no {data_type.__name__}")
        return self.data

    @property
    def words(self) -> StepWords:
        """The step in words."""
        if isinstance(self.data, GateData) and self.data.job:
            return _JOB_WORDS
        if self.kind is StepKind.JOIN and self.subject == WHOLE_INGRESS:
            return _WHOLE_INGRESS_WORDS
        return self.kind.traits.words
