"""The record of a wave in the plan, with what rolls it back: decided while planning, not while applying. Pure.

A rollback launches the previous specification again as a new generation, on the host and ports of the old instance,
which are free once that is gone. It needs no more capacity than the rollout: there the new instance ran beside the
old, here the old runs beside the new, never more of them at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from unictl.fleet.model import Service
from unictl.fleet.references import find_references
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import PlacedInstance
from unictl.instances.desired.spec import guest_texts
from unictl.instances.launch.document import relaunch_document
from unictl.instances.launch_record import LaunchDocument
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import PlanContext
from unictl.plan.ingress.members import ServiceMembers, member
from unictl.plan.model.rollback import RollbackInstance, RollbackRecord
from unictl.plan.model.wave import WaveRecord
from unictl.plan.reconcile.classify import is_serving
from unictl.plan.rollout.gate_data import build_health_gate
from unictl.plan.rollout.waves import Wave, WaveItem, max_unavailable


def build_wave_record(
    context: PlanContext,
    service: Service,
    wave: Wave,
    members: ServiceMembers,
    predecessors: Mapping[str, LiveInstance],
) -> WaveRecord:
    """A wave for the plan: the instances in it, and what takes it back.

    ``predecessors``: instance name -> the live instance that it replaces.
    """
    return WaveRecord(
        service=wave.service,
        number=wave.number,
        instances=tuple(item.name for item in wave.items),
        is_canary=wave.canary,
        drain=service.update.drain,
        progress_deadline=service.update.progress_deadline,
        related_services=tuple(sorted(_related_services(context, service))),
        rollback=_rollback_record(context, service, wave, members, predecessors),
    )


def _rollback_record(
    context: PlanContext,
    service: Service,
    wave: Wave,
    members: ServiceMembers,
    predecessors: Mapping[str, LiveInstance],
) -> RollbackRecord:
    relaunch, irreversible = _replaced_instances(context, service, wave, members, predecessors)
    record = RollbackRecord(
        reverts_after_later_failure=service.update.auto_revert,
        old_servers={
            old.key: members.servers_by_listener(member(context.fleet, old))
            for item in wave.items
            if (old := predecessors.get(item.name)) and is_serving(old) and old.forwards
        },
        remove=tuple(item.new.key for item in wave.items if item.new),
        additions=_additions(service, wave, predecessors),
        already_present=_existing_generations(context, wave),
        relaunch=tuple(relaunch),
        irreversible=irreversible,
        max_down=max(1, max_unavailable(service, 0)),
        max_beside=max(1, service.update.max_parallel.of(service.replicas, round_up=True)),
    )
    return replace(record, summary=_summary(wave, record))


def _replaced_instances(
    context: PlanContext,
    service: Service,
    wave: Wave,
    members: ServiceMembers,
    predecessors: Mapping[str, LiveInstance],
) -> tuple[list[RollbackInstance], dict[str, str]]:
    """What a rollback launches again, and by name why the others stay new."""
    relaunch: list[RollbackInstance] = []
    irreversible: dict[str, str] = {}
    if service.kind == "job":
        # A job is not run again because something after it failed: what it did is done.
        return relaunch, irreversible
    for item in wave.items:
        old = predecessors.get(item.name)
        if old is None or item.new is None:
            continue
        reason = _irreversible_reason(old, item.new)
        if reason:
            irreversible[item.name] = reason
        elif _is_worthwhile(item, old):
            relaunch.append(_rollback_instance(context, service, members, item, old))
    return relaunch, irreversible


def _additions(service: Service, wave: Wave, predecessors: Mapping[str, LiveInstance]) -> tuple[str, ...]:
    """The new generations that replace nothing; a finished job is not removed."""
    if service.kind == "job":
        return ()
    return tuple(item.new.key for item in wave.items if item.new and item.name not in predecessors)


def _existing_generations(context: PlanContext, wave: Wave) -> tuple[str, ...]:
    """The new generations that an earlier apply recorded or launched."""
    live_keys = {live.key for item in wave.items for live in context.live_by_name.get(item.name, ())}
    return tuple(item.new.key for item in wave.items if item.new and item.new.key in live_keys)


def _related_services(context: PlanContext, service: Service) -> set[str]:
    """The services it needs or is told the endpoints of: old and new of them may not go together."""
    referenced = (
        reference.name.partition(".")[0]
        for text in guest_texts(service)
        for reference in find_references(text)
        if reference.kind == "service"
    )
    return {name for name in (*service.needs, *referenced) if name in context.fleet.services and name != service.name}


def _is_worthwhile(item: WaveItem, old: LiveInstance) -> bool:
    """Whether taking it back can mean more than to remove the new one: not where old and new are the same, side by
    side, nor where the old one did not serve."""
    assert item.new is not None, item.name
    return old.fingerprint != item.new.desired.fingerprint or (old in item.stop_first and is_serving(old))


def _irreversible_reason(old: LiveInstance, new: PlacedInstance) -> str:
    """Why what ``old`` was cannot come back; empty where it can."""
    if old.name != new.desired.name:
        return "it has a new name"
    if old.fingerprint == new.desired.fingerprint:
        return "" if new.document else "it is what it was"
    if old.state == "damaged" or not old.launched or not old.spec:
        return "the old launch is not known"
    if not old.proven:
        return "the old one was never healthy"
    changed_secret = _changed_secret(old.spec.get("secrets", {}), new.desired.spec.get("secrets", {}))
    return f"secret {changed_secret} has another version now" if changed_secret else ""


def _changed_secret(old: Mapping[str, int], new: Mapping[str, int]) -> str:
    """A secret of the old one whose value nobody can read any more."""
    return min((name for name, version in old.items() if new.get(name) != version), default="")


def _rollback_instance(
    context: PlanContext, service: Service, members: ServiceMembers, item: WaveItem, old: LiveInstance
) -> RollbackInstance:
    new = item.new
    assert new is not None, item.name
    spec_differs = old.fingerprint != new.desired.fingerprint
    base_document = _previous_document(old) if spec_differs else new.document
    relaunched = relaunch_document(
        base_document, context.fleet.owner, _unused_launch_number(context, old, new, base_document["fingerprint"])
    )
    template: LiveInstance | PlacedInstance = old if spec_differs else new
    key = f"{relaunched['name']}.{relaunched['generation']}"
    servers = members.servers_by_listener(member(context.fleet, template))
    return RollbackInstance(
        name=item.name,
        key=key,
        new_key=new.key,
        old_key=old.key,
        spec_differs=spec_differs,
        stops_first=old in item.stop_first,
        host=template.host,
        document=relaunched,
        secrets=tuple(relaunched["run"]["secrets"]),
        health_gate=build_health_gate(service, key, template.forwards),
        # It runs on the host and ports of its template, under its own name.
        servers={listener: replace(server, name=key) for listener, server in servers.items()},
    )


def _previous_document(old: LiveInstance) -> LaunchDocument:
    """The launch document that ``old`` was started from, of what its record says."""
    launched = old.launched or {}
    assert old.spec is not None, old.key
    return {
        "name": old.name,
        "generation": old.generation,
        "service": old.service,
        "ordinal": old.ordinal,
        "launch": old.launch,
        "fingerprint": old.fingerprint,
        "spec": old.spec,
        "resolved": dict(old.resolved or {}),
        "commit": old.commit,
        "protect": old.protect,
        "restart": launched["restart"],
        "run": launched["run"],
    }


def _unused_launch_number(context: PlanContext, old: LiveInstance, new: PlacedInstance, fingerprint: str) -> int:
    """A launch number that no record of the name has or will have by then."""
    lives = context.live_by_name.get(new.desired.name, ())
    number = 1 + max(
        new.launch, old.launch, context.retired_launches.get(old.name, 0), *(live.launch for live in lives)
    )
    used_generations = {new.generation, *(live.generation for live in lives)}
    while generation(fingerprint, number) in used_generations:
        number += 1
    return number


def _summary(wave: Wave, record: RollbackRecord) -> str:
    """``wave 2 of api: api-1 goes back to what api-1.7f3c9a1b is, launched anew beside the new one``."""
    parts = []
    if record.reverted and record.reverts_after_later_failure:
        stops_first = any(instance.stops_first for instance in record.reverted)
        timing = "once the new one has gone" if stops_first else "beside the new one"
        parts.append(f"{_revert_phrase(record.reverted)}, launched anew {timing}")
    elif record.reverted:
        parts.append("stays as it is once it is done (auto_revert is false)")
    parts += [f"{name} stays new once it is done: {reason}" for name, reason in record.irreversible.items()]
    if record.additions:
        parts.append(f"{len(record.additions)} new removed")
    if any(instance.document["run"]["volumes"] for instance in record.reverted):
        parts.append("the data in volumes is not turned back")
    return f"wave {wave.number} of {wave.service}: {'; '.join(parts) or 'the old ones stay'}"


def _revert_phrase(reverted: Sequence[RollbackInstance]) -> str:
    first, last = reverted[0], reverted[-1]
    if len(reverted) == 1:
        return f"{first.name} goes back to what {first.old_key} is"
    return f"{first.name} to {last.name} ({len(reverted)}) go back to what they are now"
