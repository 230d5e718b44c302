"""Guards for volumes: in use, shrinking, growing, unused or missing. Pure."""

from collections.abc import Iterator

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.fleet.names import declared_volume_name
from unictl.fleet.quantities import format_memory
from unictl.instances.observed.host_state import Survey
from unictl.plan.context.context import PlanContext
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.model.payloads import RetireData
from unictl.plan.reconcile.reconcile import InstanceChange
from unictl.plan.rollout.step_factory import volume_size


def volume_findings(draft: PlanDraft) -> Iterator[Finding]:
    """Volumes that stay, that cannot shrink, that are in use, that nobody has."""
    context, instance_changes, rollout = draft.context, draft.instance_changes, draft.rollout
    change_by_volume = {
        name: instance_change
        for instance_change in instance_changes
        if instance_change.desired
        for name in instance_change.desired.volumes.values()
    }
    change_by_volume = {} if context.options.destroy else change_by_volume
    retired_keys = {(item.host, item.data.key) for item in rollout.builder.steps() if isinstance(item.data, RetireData)}
    for host, survey in context.surveys.items():
        yield from _volumes_on_host(context, host, survey, change_by_volume, retired_keys)
    for item in rollout.handover_conflicts:
        subject, service = item.new.desired.name, item.new.desired.service
        text = f"{subject} is to have volume {item.volume}, which {item.holder} on {item.host} gives up only later"
        hint = f"apply once without the volume at {service}, then again with it"
        yield Finding(path=("services", service, "volumes"), code="volume-tangled", summary=text, hint=hint)
    for name in sorted(set(context.options.allow_volumes) - set(context.volume_hosts)):
        already_deleted = name in context.options.deleted
        text = f"no host{' that answered' if context.unreachable else ''} has a volume {name}"
        text = f"volume {name} is gone already: an earlier apply was told to delete it" if already_deleted else text
        yield Finding(path=("volumes", name), code="no-volume", summary=text, severity=Severity.WARNING)


def _volumes_on_host(
    context: PlanContext,
    host: str,
    survey: Survey,
    change_by_volume: dict[str, InstanceChange],
    retired_keys: set[tuple[str, str]],
) -> Iterator[Finding]:
    for volume in sorted(survey.volumes, key=lambda entry: entry.name):
        name, is_named = volume.name, volume.name in context.options.allow_volumes
        instance_change = change_by_volume.get(name)
        if is_named and instance_change:
            text = f"volume {name} is named to be deleted, and {instance_change.change.subject} uses it"
            yield Finding(
                path=("volumes", name), code="volume-in-use", summary=text, hint=f"take {name} out of the fleet first"
            )
        elif is_named and volume.used_by and (host, volume.used_by) not in retired_keys:
            text = f"volume {name} is named to be deleted, and {volume.used_by} on {host} still uses it"
            yield Finding(
                path=("volumes", name), code="volume-in-use", summary=text, hint=f"let {volume.used_by} go first"
            )
        elif not is_named and instance_change is None:
            text = f"volume {name} on {host} is used by nothing after this, and stays"
            hint = f"to delete it and its data: -allow-destroy volume:{name}"
            yield Finding(
                path=("volumes", name), code="volume-stays", summary=text, hint=hint, severity=Severity.WARNING
            )
        if instance_change and instance_change.desired:
            yield from _volume_in_use(host, instance_change, volume.used_by, name, retired_keys)
            yield from _size_change(context, host, instance_change, name, volume.size)


def _volume_in_use(
    host: str, instance_change: InstanceChange, used_by: str, volume_name: str, retired_keys: set[tuple[str, str]]
) -> Iterator[Finding]:
    new = instance_change.change.new
    if new and new.document and used_by and used_by != new.key and (host, used_by) not in retired_keys:
        text = f"{instance_change.change.subject} is to have volume {volume_name}, which {used_by} on {host} uses"
        yield Finding(
            path=("services", instance_change.service, "volumes"),
            code="volume-in-use",
            summary=text,
            hint="a volume has one user",
        )


def _size_change(
    context: PlanContext, host: str, instance_change: InstanceChange, volume_name: str, current_size: int
) -> Iterator[Finding]:
    desired_size = volume_size(context, instance_change.service, volume_name)
    path = ("volumes", declared_volume_name(volume_name, context.fleet.volumes), "size")
    current_text, desired_text = format_memory(current_size), format_memory(desired_size)
    if desired_size > current_size:
        text = (
            f"volume {volume_name} on {host} has {current_text} and is to have {desired_text}: "
            "growing is not supported yet"
        )
        yield Finding(path=path, code="volume-grows", summary=text, severity=Severity.WARNING)
    elif 0 < desired_size < current_size:
        text = f"volume {volume_name} on {host} has {current_text}, and cannot shrink to {desired_text}"
        yield Finding(path=path, code="volume-shrinks", summary=text, hint=f"write `size: {current_text}`")
