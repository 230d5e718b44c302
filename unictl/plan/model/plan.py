"""The Plan: changes, the graph of steps, its preconditions, and what forbids applying it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unictl.diagnostics.diagnostic import Problems, errors
from unictl.plan.model.change import Action, Change
from unictl.plan.model.ingress import Membership
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
    """What will be done, in what order, and on what it rests.

    ``was``: the owner that the fleet was before it was renamed.
    ``hosts``: name -> {host_id, connect, root, become, address, keep} of every host it touches or gets an
    image from; ``preconditions``: host -> what the
    plan rests on there (``plan.stale``); ``members``: host -> {service: listeners JSON} of the ingress before the
    first step (``plan.membership``); ``overrides``: what was allowed beyond policy;
    ``refusals`` stop an apply, ``warnings`` are told. ``silent`` hosts did not answer. ``images``: digest ->
    {name, part, size, path, stored, host, url}, where their bytes come from. ``headroom``: what is free at the tightest
    moment of the rollout (``plan.tightest``). It and ``facts`` are display only and in no hash.
    """

    name: str
    mark: str
    owner: str
    was: str = ""
    fleet_id: str = ""
    environment: str = ""
    revision: Revision = Revision()  # noqa: RUF009 - it is frozen
    hosts: Mapping[str, Mapping[str, Any]]
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    read: Mapping[str, Mapping[str, Any]]
    membership: Mapping[str, Membership] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
    images: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    refusals: Problems = ()
    warnings: Problems = ()
    partial: str = ""
    destroys_all: bool = False
    overrides: tuple[str, ...] = ()
    waves: tuple[WaveRecord, ...] = ()
    tightest: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

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
