"""What views, estimates, progress and execution know of a kind of step: the form of the record in ``StepKind``."""

from dataclasses import dataclass
from enum import Enum

from unictl.plan.model.payloads import FileData


class Subject(Enum):
    """What the subject of a step names."""

    IMAGE = "image"
    VOLUME = "volume"
    """``volume:NAME``"""
    INSTANCE = "instance"
    """A generation: ``api-2.7f3c9a1b``."""
    MARKS = "marks"
    """``marks:api-2``"""
    SERVICE = "service"
    """A service, or ``ingress`` for all that a host has of them."""
    POLICY = "policy"
    HOST = "host"
    BARRIER = "barrier"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWords:
    """A step in words; the name of a host follows."""

    doing: str
    done: str
    failed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepGroup:
    """Steps that belong to no wave, which the folded graph draws as one node."""

    name: str
    title: str
    noun: str
    """What is counted: ``3 hosts``."""
    style: str
    """A style word of the views."""
    counts_hosts: bool = False
    """Whether it also says how many hosts it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTraits:
    """All that is known of a kind of step besides how it is carried out."""

    words: StepWords
    subject: Subject
    data_type: type[FileData] | None = None
    """The form of its data in a plan file; None: it has none."""
    style: str = ""
    """The style word of a step that creates, destroys or adjusts something; empty: it prepares or records."""
    group: StepGroup | None = None
    """The node of the folded graph where it belongs to no wave; None: it has no node."""
    is_part_of_wave: bool = False
    """Whether it belongs to a wave of its service."""
    first_wave: int = 0
    """The first wave that the folded graph draws it in: steps that many waves share have no number of their own."""
    acts: bool = True
    """Whether something is done on a host. A barrier only joins edges."""
    is_slow: bool = False
    """Whether it takes time. If not, it is one small file written, and costs nothing until it was measured."""
    only_waits: bool = False
    """Whether it waits and does no work, so that any number may be in flight."""
    starts_instance: bool = False
    """Whether a new generation may be there once it has started."""
    fails_wave: bool = False
    """Whether its wave fails with it: new generations are missing or not as they should be. After trouble with an old
    generation the service stops where it is, and the next plan continues from there."""
    moves_capacity: bool = False
    """Whether it changes how much of a host is in use."""
    writes_ingress: bool = False
