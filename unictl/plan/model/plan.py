"""The Plan: changes, the graph of steps, its preconditions, and what forbids applying it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unictl.diagnostics.diagnostic import Problems, errors
from unictl.plan.model.change import Action, Change
from unictl.plan.model.image_source import ImageSource
from unictl.plan.model.ingress import Membership
from unictl.plan.model.plan_facts import PlanFacts
from unictl.plan.model.plan_host import Headroom, HostPreconditions, PlanHost
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import Step
from unictl.plan.model.wave import WaveRecord

FORMAT_VERSION = "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The summary line's numbers."""

    add: int = 0
    replace: int = 0
    destroy: int = 0
    adjust: int = 0
    unchanged: int = 0
    unknown: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What listens where once the plan is applied: an endpoint of a service's port, or a published one."""

    kind: str
    service: str
    port: str
    address: str
    number: int
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done, in what order, and what it relies on."""

    name: str
    """The fleet's name."""
    mark: str
    """The fleet's name with its environment."""
    owner: str
    """The mark with the fleet's id: what hosts know the fleet by."""
    was: str = ""
    """The owner that the fleet was before it was renamed; empty if it was not."""
    fleet_id: str = ""
    environment: str = ""
    revision: Revision = Revision()  # noqa: RUF009 - it is frozen
    hosts: Mapping[str, PlanHost]
    """Every host that it touches or gets an image from."""
    changes: tuple[Change, ...]
    """What differs and what is done about it: a row for each instance, volume and ingress."""
    steps: tuple[Step, ...]
    """What is done, in an order that keeps every need."""
    preconditions: Mapping[str, HostPreconditions]
    """What it relies on, by host: an apply refuses the plan once any of it differs."""
    membership: Mapping[str, Membership] = field(default_factory=dict)
    """What each ingress serves before the first step, by host."""
    endpoints: tuple[Endpoint, ...] = ()
    images: Mapping[str, ImageSource] = field(default_factory=dict)
    """Where the bytes of staged images come from, by digest."""
    secrets: tuple[str, ...] = ()
    """The names of the secrets that new instances are given."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """The hosts that did not answer, and why."""
    refusals: Problems = ()
    """What forbids applying it."""
    warnings: Problems = ()
    """What is said of it without forbidding it."""
    partial: str = ""
    """Which part of the fleet it is about, in words; empty: all of it."""
    destroys_all: bool = False
    overrides: tuple[str, ...] = ()
    """What was allowed beyond policy."""
    waves: tuple[WaveRecord, ...] = ()
    headroom: Mapping[str, Headroom] = field(default_factory=dict)
    """What is free at the tightest moment of the rollout, by host. For display, and in no hash."""
    facts: PlanFacts = PlanFacts()  # noqa: RUF009 - it is frozen
    """What is displayed around it. In no hash."""

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do: the one place that decides it."""
        return bool(self.steps)

    @property
    def can_apply(self) -> bool:
        """Whether nothing speaks against it."""
        return not errors(self.refusals)

    @property
    def counts(self) -> Counts:
        """How many of each, for the summary line."""
        counts_by_action = dict.fromkeys(Action, 0)
        for change in self.changes:
            counts_by_action[change.action] += 1
        return Counts(
            add=counts_by_action[Action.CREATE],
            replace=counts_by_action[Action.REPLACE] + counts_by_action[Action.MOVE],
            destroy=counts_by_action[Action.DESTROY],
            adjust=counts_by_action[Action.ADJUST],
            unchanged=counts_by_action[Action.KEEP],
            unknown=counts_by_action[Action.UNKNOWN],
            held=counts_by_action[Action.HELD],
        )
