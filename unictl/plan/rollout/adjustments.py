"""Steps that touch no guest: marks, ingress, images, named volumes, what hosts remember, leaving hosts. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from unictl.fleet.names import InstanceKey
from unictl.fleet.quantities import format_memory
from unictl.instances.observed.host_state import LiveInstance, Survey
from unictl.plan.context import last_applied, rename
from unictl.plan.context.context import PlanContext
from unictl.plan.context.scope import Scope
from unictl.plan.ingress import members
from unictl.plan.model import step_ids
from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.payloads import DeleteData, IngressData, RememberData, RetireData, VolumeData
from unictl.plan.model.reason import Reason
from unictl.plan.model.step import WHOLE_INGRESS, Step, StepId, StepKind
from unictl.plan.reconcile import health_checks
from unictl.plan.reconcile.classify import is_running
from unictl.plan.reconcile.reconcile import InstanceChange
from unictl.plan.rollout import step_factory
from unictl.plan.rollout.builder import StepBuilder, make_step
from unictl.plan.rollout.ingress_members import stop_ingress, superfluous_ingress_hosts
from unictl.plan.rollout.rollout import Rollout


def adjust_marks(
    context: PlanContext, scope: Scope, builder: StepBuilder, instance_changes: Iterable[InstanceChange]
) -> Iterator[Change]:
    """Marks that differ, and instances whose supervisor is dead or whose unit is not enabled: touching them under a
    lease mends that."""
    for instance_change in instance_changes:
        live, desired = instance_change.change.old, instance_change.desired
        if (
            instance_change.change.action is not Action.KEEP
            or live is None
            or desired is None
            or live.name != desired.name
        ):
            continue
        service = context.service(desired)
        recorded_checks = health_checks.probe_kinds(service) if health_checks.presence_differs(service, live) else None
        protection_changed = live.protect != desired.protect
        needs_supervision = live.state == "unsupervised" or _lacks_start_at_boot(live)
        if not (protection_changed or recorded_checks is not None or needs_supervision) or not scope.includes_desired(
            desired
        ):
            continue
        step_factory.add_mark(builder, live, protect=desired.protect, checks=recorded_checks)
        subject, location = f"marks:{live.name}", (live.host, desired.service)
        if protection_changed:
            field = Field(path="protect", old=live.protect, new=desired.protect)
            yield _adjustment(subject, Reason.PROTECT, *location, (field,), "protect")
        elif recorded_checks is not None:
            field = Field(path="health", old=_joined_kinds(live.checks), new=_joined_kinds(recorded_checks))
            yield _adjustment(
                subject, Reason.CHECK_ADDED if recorded_checks else Reason.CHECK_REMOVED, *location, (field,), "health"
            )
        else:
            yield _adjustment(
                subject, Reason.NOT_AT_BOOT if _lacks_start_at_boot(live) else Reason.UNSUPERVISED, *location
            )


def _lacks_start_at_boot(live: LiveInstance) -> bool:
    """Whether it runs and would not after a reboot of its host. Whoever takes the lease mends that too."""
    return is_running(live) and not live.at_boot


def _joined_kinds(kinds: Sequence[str] | None) -> str | None:
    return ", ".join(kinds or ()) or None


def _adjustment(
    subject: str, reason: Reason, host: str, service: str = "", fields: tuple[Field, ...] = (), key: str = ""
) -> Change:
    origin = (("services", service, key) if key else ("services", service)) if service else ()
    return Change(
        action=Action.ADJUST, subject=subject, reason=reason, host=host, service=service, fields=fields, origin=origin
    )


def adjust_ingresses(context: PlanContext, rollout: Rollout) -> Iterator[Change]:
    """Ingresses that are not what they should be, where no other step writes them anyway."""
    if context.options.destroy:
        return
    if not any(step.traits.writes_ingress and step.service for step in rollout.builder.steps()):
        expected_digest = members.config_digest(context.fleet.owner, rollout.membership_after)
        for host in rollout.ingress_hosts:
            yield from _adjust_ingress(context, rollout, host, expected_digest)
    for host in superfluous_ingress_hosts(context):
        stop_ingress(rollout.builder, host)
        yield replace(
            _adjustment("ingress", Reason.INGRESS, host),
            detail="this host is to have none",
            origin=("hosts", host, "ingress"),
        )


def _adjust_ingress(context: PlanContext, rollout: Rollout, host: str, expected_digest: str) -> Iterator[Change]:
    state = context.surveys[host].ingress.get("state", "absent")
    live_digest = context.surveys[host].ingress.get("hash", "")
    expected_state = "running" if expected_digest else "absent"
    if (state == expected_state or (expected_digest and state == "starting")) and live_digest == expected_digest:
        return
    if context.ingress_unknown:
        yield _held_ingress_change(context, host)
        return
    data = IngressData(services=rollout.membership_after)
    rollout.builder.add(
        make_step(step_ids.whole_ingress_id(host), StepKind.JOIN, host, (), data, subject=WHOLE_INGRESS)
    )
    fields = _member_fields(context, rollout, host) if state == "running" else None
    renamed = bool(context.fleet.former_owner) and live_digest == members.config_digest(
        context.fleet.former_owner, rollout.membership_after
    )
    unchanged_detail = _ONLY_NAME_DIFFERS if renamed else _ONLY_CONFIG_DIFFERS
    detail = (
        _STATE_DETAILS.get(state, unchanged_detail if fields == () else "")
        if expected_digest
        else "nothing is to listen there any more"
    )
    yield replace(_adjustment("ingress", Reason.INGRESS, host, fields=fields or ()), detail=detail)


_STATE_DETAILS = {
    "absent": "there is none yet",
    "dead": "it does not run",
    "foreign": "it does not run, and another program listens where it is to",
}
_ONLY_NAME_DIFFERS = "only the name of the fleet in it differs"
_ONLY_CONFIG_DIFFERS = "where it listens, how it checks, or how long it lets sessions end differs; who answers does not"


def _member_fields(context: PlanContext, rollout: Rollout, host: str) -> tuple[Field, ...] | None:
    """Who leaves and who joins, service by service; None where the host does not say who is behind it."""
    live_members = context.surveys[host].ingress.get("servers")
    if live_members is None:
        return None
    desired_members = members.server_names(rollout.membership_after)
    moves_by_service: defaultdict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for index, keys in enumerate((live_members.keys() - desired_members, desired_members - live_members.keys())):
        for key in sorted(keys):
            moves_by_service[InstanceKey(key).name.service][index].append(key)
    return tuple(
        Field(path=f"{service}.servers", old=", ".join(old) or None, new=", ".join(new) or None)
        for service, (old, new) in sorted(moves_by_service.items())
    )


def _held_ingress_change(context: PlanContext, host: str) -> Change:
    detail = f"{', '.join(context.unreachable)}: who answers there is unknown, so nobody is taken out"
    return Change(action=Action.HELD, subject="ingress", reason=Reason.INGRESS_UNKNOWN, host=host, detail=detail)


def restage_images(context: PlanContext, builder: StepBuilder) -> Iterator[Change]:
    """Damaged or missing images that somebody runs from: a guest that crashes would not come back."""
    files = step_factory.image_files(context.facts)
    for host, survey in context.surveys.items():
        running_digests = {digest for live in survey.instances for digest in live.images}
        for digest in sorted(running_digests & set(files) - survey.images):
            builder.add(step_factory.stage_step(files, host, digest))
            subject = f"image:{files[digest].image}.{files[digest].part}"
            yield _adjustment(subject, Reason.IMAGE_DAMAGED if digest in survey.damaged else Reason.IMAGE_MISSING, host)


def adjust_volumes(
    context: PlanContext, builder: StepBuilder, instance_changes: Sequence[InstanceChange]
) -> Iterator[Change]:
    """Volumes that are created, and those that were named to be deleted."""
    sizes_by_volume = {
        step.data.volume: (step, step.data.size) for step in builder.steps() if isinstance(step.data, VolumeData)
    }
    for name, (entry, size) in sorted(sizes_by_volume.items()):
        origin = ("services", entry.service, "volumes")
        yield Change(
            action=Action.CREATE,
            subject=f"volume:{name}",
            reason=Reason.NEW,
            host=entry.host,
            service=entry.service,
            detail=format_memory(size),
            origin=origin,
        )
    used_volumes = {
        volume_name
        for instance_change in instance_changes
        if instance_change.desired and instance_change.change.action is not Action.DESTROY
        for volume_name in instance_change.desired.volumes.values()
    }
    for host, survey in context.surveys.items():
        for volume in sorted(survey.volumes, key=lambda entry: entry.name):
            if volume.name in context.options.allow_volumes and volume.name not in used_volumes:
                yield _delete_volume(builder, host, volume.name, volume.used_by)


def _delete_volume(builder: StepBuilder, host: str, name: str, used_by: str) -> Change:
    retire_ids = [
        planned_step.id
        for planned_step in builder.steps()
        if isinstance(planned_step.data, RetireData) and planned_step.host == host and planned_step.data.key == used_by
    ]
    builder.add(
        make_step(
            step_ids.step_id(StepKind.DELETE, host, name),
            StepKind.DELETE,
            host,
            retire_ids,
            DeleteData(volume=name),
            subject=f"volume:{name}",
        )
    )
    return Change(action=Action.DESTROY, subject=f"volume:{name}", reason=Reason.VOLUME_NAMED, host=host)


def record_last_applied(context: PlanContext, builder: StepBuilder) -> Iterator[Change]:
    """What touched hosts are to remember, last of all on each; and hosts that remember something else."""
    policy, hosts = (
        last_applied.policy_json(context.fleet.policy),
        last_applied.hosts_json(context, _occupied_hosts(context, builder)),
    )
    final_steps, drain_ids, renamed_hosts = (
        _final_steps(builder),
        _drain_retirements(context, builder),
        rename.pending_hosts(context),
    )
    new_name = {"mark": context.fleet.mark, "id": context.fleet.id} if context.fleet.was else None
    data = RememberData(policy=policy, hosts=tuple(hosts), fleet=new_name)
    for host, survey in context.surveys.items():
        is_outdated = last_applied.is_outdated(survey, policy, tuple(hosts)) or host in renamed_hosts
        if host not in context.fleet.hosts or not is_outdated:
            continue
        if host in final_steps or survey.policy is not None or host in renamed_hosts:
            needs = builder.add_barrier(step_ids.done_barrier_id(host), (*final_steps.get(host, ()), *drain_ids))
            builder.add(
                make_step(
                    step_ids.step_id(StepKind.REMEMBER, host), StepKind.REMEMBER, host, needs, data, subject="policy"
                )
            )
        if host in renamed_hosts:
            field = Field(path="name", old=survey.naming.owner, new=context.fleet.owner)
            yield replace(_adjustment("fleet", Reason.FLEET_RENAMED, host, fields=(field,)), origin=("fleet", "was"))
        elif host not in final_steps and survey.policy is not None:
            yield _adjustment("policy", Reason.POLICY, host)


def _occupied_hosts(context: PlanContext, builder: StepBuilder) -> set[str]:
    """Hosts where an instance is left when all steps are done."""
    retired_keys = {(step.host, step.data.key) for step in builder.steps() if isinstance(step.data, RetireData)}
    launch_hosts = {step.host for step in builder.steps() if step.kind is StepKind.LAUNCH}
    live_keys = ((host, live.key) for host, survey in context.surveys.items() for live in survey.instances)
    return launch_hosts | {host for host, key in live_keys if (host, key) not in retired_keys}


def _drain_retirements(context: PlanContext, builder: StepBuilder) -> list[StepId]:
    """The ends of what leaves drained hosts: before them nobody may say that such a host may go."""
    drained = {name for name, host in context.fleet.hosts.items() if host.drain}
    return [step.id for step in builder.steps() if step.kind is StepKind.RETIRE and step.host in drained]


def _final_steps(builder: StepBuilder) -> Mapping[str, list[StepId]]:
    """By host, its steps that no other step of it needs."""
    steps_by_host: defaultdict[str, list[Step]] = defaultdict(list)
    for step in builder.steps():
        if step.host:
            steps_by_host[step.host].append(step)
    needed = {host: {need for step in steps for need in step.needs} for host, steps in steps_by_host.items()}
    return {host: [step.id for step in steps if step.id not in needed[host]] for host, steps in steps_by_host.items()}


def close_hosts(context: PlanContext, rollout: Rollout) -> Iterator[Change]:
    """A fleet that goes leaves every host where it has something and nothing of it stays; an ingress only where nobody
    is behind it any more, on whatever host, and none who does not answer may be."""
    builder = rollout.builder
    final_steps, occupied_hosts = _final_steps(builder), _occupied_hosts(context, builder)
    is_serving = context.ingress_unknown or bool(members.server_names(rollout.membership_after))
    for host, survey in context.surveys.items():
        has_listener, final_ids = _has_listener(survey), final_steps.get(host, ())
        if (
            host in occupied_hosts
            or (has_listener and is_serving)
            or not (final_ids or has_listener or survey.policy is not None)
        ):
            continue
        builder.add(
            make_step(
                step_ids.step_id(StepKind.CLOSE, host),
                StepKind.CLOSE,
                host,
                builder.add_barrier(step_ids.done_barrier_id(host), final_ids),
                None,
                subject=host,
            )
        )
        if has_listener:
            yield replace(
                _adjustment("ingress", Reason.INGRESS, host), detail="it ends, for nobody is behind it any more"
            )


def _has_listener(survey: Survey) -> bool:
    return survey.ingress.get("state", "absent") not in ("absent", "foreign")
