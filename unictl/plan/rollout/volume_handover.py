"""Volumes that pass from one service to another: who holds them, and which service must come later. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unictl.fleet.names import InstanceKey
from unictl.instances.desired.instance import PlacedInstance
from unictl.plan.context.context import PlanContext
from unictl.plan.ingress.members import MemberId
from unictl.plan.reconcile.reconcile import InstanceChange


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverConflict:
    """A volume whose new user would be launched before the old one (a key, and its host) is gone: no order of the
    services does it."""

    volume: str
    new: PlacedInstance
    holder: str
    host: str


def volume_holders(context: PlanContext, instance_changes: Sequence[InstanceChange]) -> Mapping[str, list[MemberId]]:
    """Who holds a volume that something new of another name is to have."""
    new_users = {
        volume: instance_change.change.subject
        for instance_change in instance_changes
        if instance_change.change.new and instance_change.desired
        for volume in instance_change.desired.volumes.values()
    }
    holders_by_volume: defaultdict[str, list[MemberId]] = defaultdict(list)
    for name, lives in context.live_by_name.items():
        for live in lives:
            for volume in live.volumes:
                if new_users.get(volume, name) != name:
                    holders_by_volume[volume].append((live.key, live.host))
    return holders_by_volume


def handover_predecessors(
    instance_changes: Sequence[InstanceChange], holders_by_volume: Mapping[str, Sequence[MemberId]]
) -> Mapping[str, set[str]]:
    """Who gets a volume -> those who have it now: where they stay without it, they let go of it first."""
    predecessors: defaultdict[str, set[str]] = defaultdict(set)
    for instance_change in instance_changes if holders_by_volume else ():
        for volume in (
            instance_change.desired.volumes.values() if instance_change.desired and instance_change.change.new else ()
        ):
            predecessors[instance_change.service].update(
                InstanceKey(key).name.service for key, _ in holders_by_volume.get(volume, ())
            )
    return {
        name: predecessor_names - {name}
        for name, predecessor_names in predecessors.items()
        if predecessor_names - {name}
    }
