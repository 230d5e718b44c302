"""Reconciles desired and live state: which instances are kept, created, replaced, destroyed, held or unknown. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from unictl.fleet.names import InstanceName, declared_volume_name
from unictl.instances.desired.instance import DesiredInstance, PlacedInstance
from unictl.instances.launch.addresses import assign_addresses
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey
from unictl.instances.placement.place import Placement, place
from unictl.plan.context.context import PlanContext
from unictl.plan.context.scope import Scope
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import Reason, hold_because_volume_on
from unictl.plan.reconcile.classify import is_running
from unictl.plan.reconcile.decide import Decision, decide, with_new_generation

_LOSS_NOT_ACCEPTED = "the volume was on a lost host, and accept_loss does not say that it may begin empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceChange:
    """What is done about one name: its row, and the rows of its other generations.

    ``service`` is the one it belongs to after the plan; ``desired`` is None for what is only destroyed.
    """

    service: str
    change: Change
    other_generations: tuple[Change, ...] = ()
    desired: DesiredInstance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """All works: of desired instances in their order, then of surplus ones by name; and what placement said."""

    instance_changes: tuple[InstanceChange, ...]
    placement: Placement


def reconcile(context: PlanContext, scope: Scope, *, locating: bool = True) -> Reconciliation:
    """What differs between live and desired, within ``scope``.

    Without ``locating`` hosts are chosen and nothing else: no port, no address, so no ``new`` in a change.
    """
    in_scope = (
        ()
        if context.options.destroy
        else tuple(desired for desired in context.desired if scope.includes_desired(desired))
    )
    blocked = {
        desired.name: blocking_decision
        for desired in in_scope
        if (blocking_decision := _blocked_by_unreachable_host(context, desired))
    }
    # Who is chosen by its host goes where it goes when all are placed.
    placeable = () if context.options.destroy else context.desired
    considered = tuple(
        desired
        for desired in placeable
        if scope.placed_hosts or desired.name in context.live_by_name or scope.includes_desired(desired)
    )
    unblocked = tuple(desired for desired in considered if desired.name not in blocked)
    placement = place(
        context.fleet,
        unblocked,
        context.live_state,
        replacing=context.options.replace,
        rebalance=context.options.rebalance,
    )
    decisions = [
        blocked.get(desired.name) or _decide_placed(context, desired, placement, scope) for desired in in_scope
    ]
    placed_by_name, decisions = _assign_addresses(context, decisions) if locating else ({}, decisions)
    instance_changes = [_instance_change(context, decision, placed_by_name) for decision in decisions]
    return Reconciliation(
        instance_changes=(*instance_changes, *_out_of_scope(context, scope), *_surplus_changes(context, scope)),
        placement=placement,
    )


def _blocked_by_unreachable_host(context: PlanContext, desired: DesiredInstance) -> Decision | None:
    """Where a silent or a lost host may have it, or its data: no step, or something would exist twice."""
    instances = context.live_by_name.get(desired.name, ())
    old = instances[0] if instances else None
    unseen_volumes = [name for name in desired.volumes.values() if name not in context.volume_hosts]
    if context.unreachable and (not instances or unseen_volumes):
        verb = "does" if len(context.unreachable) == 1 else "do"
        detail = f"{', '.join(context.unreachable)} {verb} not answer, and may have it"
        if instances:
            detail = f"volume {unseen_volumes[0]} may be on a host that does not answer"
        return _no_step(Action.UNKNOWN, Reason.UNREACHABLE, desired, old, detail)
    host = next((lost_host for name in unseen_volumes if (lost_host := _lost_volume_host(context, name))), "")
    return _no_step(Action.HELD, hold_because_volume_on(host), desired, old, _LOSS_NOT_ACCEPTED) if host else None


def _lost_volume_host(context: PlanContext, name: str) -> str:
    """The lost host that may have had the volume; empty where none can, or where its loss is accepted."""
    declared_volume = context.fleet.volumes.get(declared_volume_name(name, context.fleet.volumes))
    if declared_volume is None or declared_volume.accept_loss or not context.lost_hosts:
        return ""
    return (
        declared_volume.host
        if declared_volume.host in context.lost_hosts
        else ""
        if declared_volume.host
        else min(context.lost_hosts)
    )


def _no_step(action: Action, reason: str, desired: DesiredInstance, old: LiveInstance | None, detail: str) -> Decision:
    host = old.host if old else ""
    origin = ("services", desired.service)
    return Decision(action=action, reason=reason, desired=desired, host=host, old=old, detail=detail, origin=origin)


def _decide_placed(context: PlanContext, desired: DesiredInstance, placement: Placement, scope: Scope) -> Decision:
    host = placement.hosts.get(desired.name)
    instances = context.live_by_name.get(desired.name, ())
    if host is None:
        old = next((live for live in instances if is_running(live)), None)
        return _no_step(Action.HELD, Reason.NO_HOST, desired, old, "no host can take it")
    decision = decide(context, desired, host, forced=scope.is_forced(desired))
    if decision.action is Action.MOVE and desired.name in placement.rebalanced:
        decision = replace(decision, reason=Reason.MOVE_REBALANCE)
    if decision.action is Action.KEEP and desired.name in placement.held_reasons:
        return replace(
            decision,
            action=Action.HELD,
            reason=hold_because_volume_on(host),
            detail=placement.held_reasons[desired.name],
            origin=("hosts", host),
        )
    return _hold_if_ingress_unknown(context, decision)


def _hold_if_ingress_unknown(context: PlanContext, decision: Decision) -> Decision:
    """An old one stays while an ingress that may route to it does not answer; nobody joins one written half blind."""
    old = decision.old
    if decision.action is Action.KEEP or decision.action is Action.HELD:
        return decision
    if context.ingress_unknown and decision.desired.ports:
        return _no_step(Action.HELD, Reason.INGRESS_UNKNOWN, decision.desired, old, _ingress_unknown_detail(context))
    if old is None or not _may_be_routed(context, old):
        return decision
    if decision.action is Action.CREATE and not set(old.volumes) & set(decision.desired.volumes.values()):
        return replace(decision, old=None, other_generations=(old, *decision.other_generations))
    return _no_step(Action.HELD, Reason.INGRESS_UNKNOWN, decision.desired, old, _ingress_unknown_detail(context))


def _may_be_routed(context: PlanContext, live: LiveInstance) -> bool:
    """Whether somebody who does not answer may send to it, or is behind the ingress that it would leave."""
    return (
        bool(live.forwards)
        and live.state != "begun"
        and (context.ingress_unknown or bool(context.unreachable_ingresses()))
    )


def _ingress_unknown_detail(context: PlanContext) -> str:
    host_names = context.unreachable_ingresses()
    if host_names:
        return f"the ingress of {', '.join(host_names)} may still send to it"
    return f"{', '.join(context.unreachable)}: who answers there is unknown, so no ingress is written anew"


def _assign_addresses(
    context: PlanContext, decisions: list[Decision]
) -> tuple[Mapping[str, PlacedInstance], list[Decision]]:
    """Ports and addresses of all that is launched; a record that no longer fits makes way for a new generation."""
    placed_by_name = _try_assign(context, decisions)
    misfit_names = {
        decision.desired.name
        for decision in decisions
        if decision.relaunched and not _has_same_forwards(decision.relaunched, placed_by_name[decision.desired.name])
    }
    if misfit_names:
        decisions = [
            with_new_generation(context, decision) if decision.desired.name in misfit_names else decision
            for decision in decisions
        ]
        placed_by_name = _try_assign(context, decisions)
    return placed_by_name, decisions


def _try_assign(context: PlanContext, decisions: Sequence[Decision]) -> Mapping[str, PlacedInstance]:
    launches = [(decision.desired, decision.host, decision.launch) for decision in decisions if decision.launch]
    if not launches:
        return {}
    relaunched_keys = {
        (decision.relaunched.host, decision.relaunched.key) for decision in decisions if decision.relaunched
    }
    return assign_addresses(
        context.fleet,
        launches,
        _without_records(context.live_state, relaunched_keys),
        context.endpoints,
        context.facts,
        commit=context.commit,
    )


def _without_records(live_state: LiveState, record_keys: set[tuple[str, str]]) -> LiveState:
    """The world without these records: what they hold is free for them to take again."""
    hosts = {host for host, _ in record_keys}
    return {
        host: replace(
            survey,
            instances=tuple(instance for instance in survey.instances if (host, instance.key) not in record_keys),
        )
        if host in hosts and isinstance(survey, Survey)
        else survey
        for host, survey in live_state.items()
    }


def _has_same_forwards(record: LiveInstance, placed: PlacedInstance) -> bool:
    return _count_forwards(record.forwards) == _count_forwards(placed.forwards)


def _count_forwards(forwards: Iterable[Mapping[str, object]]) -> Counter[tuple[object, ...]]:
    return Counter(
        (forward.get("name"), forward.get("host"), forward.get("bind"), bool(forward.get("udp")))
        for forward in forwards
    )


def _instance_change(
    context: PlanContext, decision: Decision, placed_by_name: Mapping[str, PlacedInstance]
) -> InstanceChange:
    desired = decision.desired
    new = _adopted_instance(decision) if decision.adopted else placed_by_name.get(desired.name)
    change = Change(
        action=decision.action,
        subject=desired.name,
        reason=decision.reason,
        host=decision.old.host if decision.old and decision.action is not Action.CREATE else decision.host,
        to_host=decision.host if decision.launch or decision.adopted else "",
        service=desired.service,
        fields=decision.fields,
        order=decision.order,
        order_reason=decision.order_reason,
        detail=decision.detail,
        origin=decision.origin,
        old=decision.old,
        new=new,
    )
    other_generations = tuple(
        _remove_other_generation(context, desired.name, desired.service, live) for live in decision.other_generations
    )
    return InstanceChange(service=desired.service, change=change, other_generations=other_generations, desired=desired)


def _adopted_instance(decision: Decision) -> PlacedInstance | None:
    """What runs already, as something that is only proven: its document is empty, so nothing launches it."""
    live = decision.adopted
    if live is None:
        return None
    return PlacedInstance(
        desired=decision.desired,
        host=live.host,
        launch=live.launch,
        generation=live.generation,
        forwards=live.forwards,
        resolved=live.resolved or {},
        document={},
    )


def _remove_other_generation(context: PlanContext, name: str, service: str, live: LiveInstance) -> Change:
    is_leaving = live.state == "leaving"
    reason = Reason.LEAVING if is_leaving else Reason.TWIN
    detail = "" if is_leaving else f"launch {live.launch}; another generation of {name} stays"
    return _destroy(context, name, service, live, reason, detail=detail)


def _destroy(
    context: PlanContext, name: str, service: str, live: LiveInstance, reason: str, *, detail: str = ""
) -> Change:
    origin = ("services", service) if service in context.fleet.services else ()
    change = Change(
        action=Action.DESTROY,
        subject=name,
        reason=reason,
        host=live.host,
        service=service,
        detail=detail,
        origin=origin,
        old=live,
    )
    if _may_be_routed(context, live):
        return replace(
            change, action=Action.HELD, reason=Reason.INGRESS_UNKNOWN, detail=_ingress_unknown_detail(context)
        )
    return change


def _out_of_scope(context: PlanContext, scope: Scope) -> Iterable[InstanceChange]:
    """Wished instances that the plan is not about: their rows say that they are kept, as members of the ingress."""
    if context.options.destroy:
        return
    for desired in context.desired:
        if not scope.includes_desired(desired):
            for live in context.live_by_name.get(desired.name, ()):
                yield InstanceChange(
                    service=desired.service, change=_keep(desired.name, desired.service, live), desired=desired
                )


def _keep(name: str, service: str, live: LiveInstance) -> Change:
    return Change(action=Action.KEEP, subject=name, reason=Reason.UNCHANGED, host=live.host, service=service, old=live)


def _surplus_changes(context: PlanContext, scope: Scope) -> Iterable[InstanceChange]:
    desired_names = set() if context.options.destroy else {desired.name for desired in context.desired}
    names = (name for name in context.live_by_name if name not in desired_names)
    for name in sorted(
        names, key=lambda name: (context.live_by_name[name][0].service, context.live_by_name[name][0].ordinal, name)
    ):
        for live in context.live_by_name[name]:
            if scope.includes_live(live):
                change = _surplus(context, name, live)
                yield InstanceChange(service=change.service, change=change)
            else:
                service = InstanceName(name).service
                yield InstanceChange(service=service, change=_keep(name, service, live))


def _surplus(context: PlanContext, name: str, live: LiveInstance) -> Change:
    service = InstanceName(name).service
    declared_service = context.fleet.services.get(service)
    if context.options.destroy:
        reason = Reason.DESTROY_REQUESTED
    elif live.state == "leaving":
        reason = Reason.LEAVING
    else:
        reason = Reason.SCALED_DOWN if declared_service else Reason.NOT_IN_FLEET
    change = _destroy(context, name, service, live, reason)
    if reason is Reason.SCALED_DOWN:
        change = replace(change, origin=("services", service, "replicas"))
    if live.protect and reason is not Reason.LEAVING:
        return replace(change, action=Action.HELD, reason=Reason.PROTECTED, detail=_protected_detail(reason))
    return change


def _protected_detail(reason: Reason) -> str:
    causes = {
        Reason.NOT_IN_FLEET: "since the fleet file does not have it any more",
        Reason.SCALED_DOWN: "since its service has fewer replicas",
    }
    return f"it would be destroyed{', ' + causes[reason] if reason in causes else ''}"
