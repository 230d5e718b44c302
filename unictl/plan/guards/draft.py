"""The draft of a plan: everything that guards judge. Values only."""

from dataclasses import dataclass

from unictl.plan.context.context import PlanContext
from unictl.plan.context.scope import Scope
from unictl.plan.model.change import Change
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import Step
from unictl.plan.reconcile.reconcile import InstanceChange, Reconciliation
from unictl.plan.rollout.rollout import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDraft:
    """A plan in the making."""

    # The fleet, the live state and the options.
    context: PlanContext
    # What the plan covers.
    scope: Scope
    # What becomes of each instance, and where it goes.
    reconciliation: Reconciliation
    # The waves and steps, and the ingress before and after.
    rollout: Rollout
    # Every row of the plan, of instances and of everything else.
    changes: tuple[Change, ...]
    # The steps as the rollout made them, and in an order in which they can be done; fewer if some wait for each other.
    steps: tuple[Step, ...]
    ordered_steps: tuple[Step, ...]
    # The commit of the fleet files.
    revision: Revision

    @property
    def instance_changes(self) -> tuple[InstanceChange, ...]:
        """The changes of instances, with the desired instance of each."""
        return self.reconciliation.instance_changes

    @property
    def ingress_hosts(self) -> tuple[str, ...]:
        """The hosts that have an ingress once the plan is applied."""
        return () if self.context.options.destroy else self.rollout.ingress_hosts
