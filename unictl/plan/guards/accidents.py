"""Guards against likely mistakes: an empty fleet file, a volume that loses its last user, an undeclared rename.
Pure.

The first two are refused under every policy until the user names the number of instances or the volume.
"""

from collections.abc import Iterator

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Service
from unictl.fleet.names import InstanceName
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import PlanContext
from unictl.plan.guards.budget import destroyed_instances
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.model.change import Action
from unictl.plan.model.reason import Reason


def fleet_would_be_empty(draft: PlanDraft) -> Iterator[Finding]:
    """A fleet file that wishes nothing any more, while something runs, or while nobody can say whether it does."""
    context, changes = draft.context, draft.changes
    if context.options.destroy or context.desired:
        return
    if not context.fleet.hosts:
        text = "the fleet file has neither hosts nor services: what runs cannot be compared with it"
        hint = "is this the right file? to end a fleet, leave its hosts in, and type: unictl destroy"
        yield Finding(path=("fleet",), code="emptied", summary=text, hint=hint)
        return
    destroyed = destroyed_instances(changes)
    if destroyed and len(destroyed) > (context.options.allow_destroy or 0):
        state_text = "wishes no instance" if context.fleet.services else "has no services"
        verb = "is" if len(destroyed) == 1 else "are"
        text = f"the fleet file {state_text} any more, and {len(destroyed)} {verb} there"
        hint = f"is this the right file? if that is what you want: -allow-destroy {len(destroyed)}, or unictl destroy"
        yield Finding(
            path=("services",) if context.fleet.services else ("fleet",), code="emptied", summary=text, hint=hint
        )


def service_looks_renamed(draft: PlanDraft) -> Iterator[Finding]:
    """A service that is gone and one that is new, alike in image and ports: most likely one under a new name."""
    context, changes = draft.context, draft.changes
    removed_services = {
        change.service: change.old
        for change in changes
        if change.action is Action.DESTROY and change.reason == Reason.NOT_IN_FLEET and change.old
    }
    live_services = {InstanceName(name).service for name in context.live_by_name}
    new_services = [
        service
        for name, service in sorted(context.fleet.services.items())
        if name not in live_services and not service.was
    ]
    for old_name, live in sorted(removed_services.items()):
        similar_names = [service.name for service in new_services if _is_similar(context, service, live)]
        if len(similar_names) == 1:
            new_name = similar_names[0]
            yield Finding(
                path=("services", new_name),
                code="renamed",
                summary=f"{old_name} is gone from the fleet file, and {new_name} is new, with the same image and ports",
                hint=f"where that is a new name: `was: {old_name}` at {new_name} replaces the instances, "
                "and keeps volumes",
                severity=Severity.WARNING,
            )


def _is_similar(context: PlanContext, service: Service, live: LiveInstance) -> bool:
    image_digests = {image_file.sha256 for image_file in context.facts.get(service.image, {}).values()}
    ports = {port.name for port in service.ports}
    return image_digests == set(live.images) and ports == {forward["name"] for forward in live.forwards}


def volume_loses_last_user(draft: PlanDraft) -> Iterator[Finding]:
    """Volumes whose last user goes, while they are kept: nobody would miss the data until it is too late."""
    context, changes, instance_changes = draft.context, draft.changes, draft.instance_changes
    if context.options.destroy or (context.options.allow_destroy or 0) >= len(destroyed_instances(changes)):
        return
    destroyed_by_key = {
        (change.old.host, change.old.key): change
        for change in changes
        if change.action is Action.DESTROY and change.old
    }
    desired_volumes = {
        name
        for instance_change in instance_changes
        if instance_change.desired
        for name in instance_change.desired.volumes.values()
    }
    for host, survey in context.surveys.items():
        for volume in sorted(survey.volumes, key=lambda entry: entry.name):
            last_user = destroyed_by_key.get((host, volume.used_by))
            if last_user is None or volume.name in desired_volumes or volume.name in context.options.allow_volumes:
                continue
            yield Finding(
                path=last_user.origin or ("volumes", volume.name),
                code="last-user",
                summary=f"{last_user.subject} is the last user of volume {volume.name} on {host}, "
                "and would be destroyed",
                hint=f"to keep the volume without a user: -allow-destroy {len(destroyed_instances(changes))}; "
                f"to delete it too: -allow-destroy volume:{volume.name}",
            )
