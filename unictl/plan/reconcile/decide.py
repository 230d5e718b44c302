"""Decides what to do about one desired instance, before ports and addresses are assigned. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Order
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import PlanContext
from unictl.plan.model.change import Action, Field
from unictl.plan.model.reason import Reason
from unictl.plan.reconcile.classify import (
    AS_DESIRED,
    RUNNING,
    InstanceClass,
    classify,
    describe_end,
    is_running,
    is_serving,
)
from unictl.plan.reconcile.drift import Drift, find_drift

CREATE_FIRST = Order.CREATE_FIRST.value
STOP_FIRST = Order.STOP_FIRST.value
WAITING_FOR_RETRY = "an earlier apply launched this and found it not healthy; -retry tries it again"
RETRYING = "an earlier apply found it not healthy; it is tried again, as asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done about one desired instance.

    ``launch``: the launch number of what is started; 0 where nothing is. ``relaunched`` is the record that is started
    (again), ``adopted`` what runs already and only has to pass its gate. ``other_generations``: other generations,
    which go.
    """

    action: Action
    reason: str
    desired: DesiredInstance
    host: str
    old: LiveInstance | None = None
    other_generations: tuple[LiveInstance, ...] = ()
    launch: int = 0
    relaunched: LiveInstance | None = None
    adopted: LiveInstance | None = None
    fields: tuple[Field, ...] = ()
    order: str = ""
    order_reason: str = ""
    detail: str = ""
    origin: DocumentPath = ()


ClassifiedInstances = tuple[tuple[LiveInstance, InstanceClass], ...]


def decide(context: PlanContext, desired: DesiredInstance, host: str, *, forced: bool) -> Decision:
    """What is to be done about ``desired`` on ``host``, where it is placed; what failed its gate waits for -retry."""
    decision = _decide(context, desired, host, forced=forced)
    if not decision.launch or forced or desired.fingerprint not in context.failed_fingerprints.get(desired.service, ()):
        return decision
    if context.options.retry:
        return replace(decision, detail="; ".join(filter(None, (decision.detail, RETRYING))))
    return _wait_for_retry(decision)


def _wait_for_retry(decision: Decision) -> Decision:
    """What would be launched is not; a record of it goes where another generation stays."""
    record = decision.relaunched
    other_generations = (*decision.other_generations, record) if record and decision.old else decision.other_generations
    origin = decision.origin or ("services", decision.desired.service)
    return Decision(
        action=Action.HELD,
        reason=Reason.FAILED_BEFORE,
        desired=decision.desired,
        host=decision.old.host if decision.old else decision.host,
        old=decision.old or record,
        other_generations=other_generations,
        fields=decision.fields,
        detail=WAITING_FOR_RETRY,
        origin=origin,
    )


def _decide(context: PlanContext, desired: DesiredInstance, host: str, *, forced: bool) -> Decision:
    instances = context.live_by_name.get(desired.name, ())
    if len(instances) == 1 and not forced and _is_untainted(context, desired, host, instances[0]):
        return Decision(action=Action.KEEP, reason=Reason.UNCHANGED, desired=desired, host=host, old=instances[0])
    classified = tuple((live, _classify(context, desired, host, live)) for live in _sort_best_first(instances))
    matching = [live for live, instance_class in classified if instance_class in AS_DESIRED]
    if matching and not forced:
        return _keep_or_check(context, desired, host, matching[0], classified)
    running_instances = [live for live, instance_class in classified if instance_class in RUNNING]
    if running_instances:
        return _replace_running(context, desired, host, running_instances[0], classified, forced=forced)
    return _start(context, desired, host, classified, forced=forced)


def next_launch_number(context: PlanContext, name: str, fingerprint: str) -> int:
    """1 + the highest launch number in any record of that name; beyond it where that generation's folder is there."""
    instances = [live for live in context.live_by_name.get(name, ()) if live.name == name]
    number = 1 + max([context.retired_launches.get(name, 0), *(live.launch for live in instances)])
    used_generations = {live.generation for live in instances}
    while generation(fingerprint, number) in used_generations:
        number += 1
    return number


def _is_untainted(context: PlanContext, desired: DesiredInstance, host: str, live: LiveInstance) -> bool:
    return live.state == "running" and _classify(context, desired, host, live) is InstanceClass.UNTAINTED


def _classify(context: PlanContext, desired: DesiredInstance, host: str, live: LiveInstance) -> InstanceClass:
    service = context.service(desired)
    clean_exit_expected = service.kind == "job" or service.activation is not None
    return classify(
        live, host=host, differs=find_drift(context, desired, live) is not None, clean_exit_expected=clean_exit_expected
    )


def _sort_best_first(instances: tuple[LiveInstance, ...]) -> list[LiveInstance]:
    """The proven before the rest, the newest of those first; the host breaks the tie."""
    return sorted(instances, key=lambda live: (not is_serving(live), -live.launch, live.host, live.generation))


def _keep_or_check(
    context: PlanContext, desired: DesiredInstance, host: str, best: LiveInstance, classified: ClassifiedInstances
) -> Decision:
    """One of the desired generation is there: kept where it is proven, else it has to pass its gate (again)."""
    other_generations = tuple(live for live, _ in classified if live is not best)
    if (best, InstanceClass.UNPROVEN) not in classified:
        return Decision(
            action=Action.KEEP,
            reason=Reason.UNCHANGED,
            desired=desired,
            host=host,
            old=best,
            other_generations=other_generations,
        )
    detail = "launched by an earlier apply, and never seen healthy: it has to pass its gate from the beginning"
    old = next((live for live in other_generations if is_serving(live)), None)
    if old is None:
        return _decision(
            Action.CREATE,
            Reason.UNFINISHED,
            context,
            desired,
            host,
            other_generations=other_generations,
            adopted=best,
            detail=detail,
        )
    cause = find_drift(context, desired, old) or Drift(reason=Reason.MOVE_PLACEMENT)
    remaining_generations = tuple(live for live in other_generations if live is not old)
    action = Action.REPLACE if old.host == host else Action.MOVE
    return _decision(
        action,
        cause.reason,
        context,
        desired,
        host,
        old=old,
        other_generations=remaining_generations,
        adopted=best,
        cause=cause,
        detail=detail,
    )


def _replace_running(
    context: PlanContext,
    desired: DesiredInstance,
    host: str,
    old: LiveInstance,
    classified: ClassifiedInstances,
    *,
    forced: bool,
) -> Decision:
    other_generations = tuple(live for live, _ in classified if live is not old)
    cause = find_drift(context, desired, old)
    action = Action.REPLACE
    if old.host != host:
        if old.protect:
            return _hold_protected(context, desired, host, old, other_generations)
        action, move_cause = Action.MOVE, _move_cause(context, old)
        cause = Drift(reason=move_cause.reason, fields=cause.fields if cause else (), origin=move_cause.origin)
    elif cause is None or forced:
        cause = Drift(reason=Reason.REQUESTED, fields=cause.fields if cause else ())
    record = None if forced else _startable_record(context, desired, host, classified)
    if record is None:
        return _start_new_generation(
            action, context, desired, host, old=old, other_generations=other_generations, cause=cause
        )
    other_generations = tuple(live for live in other_generations if live is not record)
    relaunch_fields = {
        "relaunched": record,
        "launch": record.launch,
        "detail": "its launch was begun by an earlier apply, and goes on",
    }
    return _decision(
        action, "", context, desired, host, old=old, other_generations=other_generations, cause=cause, **relaunch_fields
    )


def _startable_record(
    context: PlanContext, desired: DesiredInstance, host: str, classified: ClassifiedInstances
) -> LiveInstance | None:
    """What was recorded as it is desired, where it is desired, and does not run: it only has to be started."""
    candidates = (
        (live, instance_class)
        for live, instance_class in classified
        if instance_class in (InstanceClass.BEGUN, InstanceClass.LOST)
    )
    return next((live for live, _ in candidates if _is_same_record(context, desired, host, live)), None)


def _hold_protected(
    context: PlanContext,
    desired: DesiredInstance,
    host: str,
    old: LiveInstance,
    other_generations: tuple[LiveInstance, ...],
) -> Decision:
    """A move that must not be: the instance is protected where it runs."""
    detail = f"it would move to {host}"
    cause = Drift(reason=Reason.PROTECTED, origin=("services", desired.service, "protect"))
    return _decision(
        Action.HELD,
        "",
        context,
        desired,
        old.host,
        old=old,
        other_generations=other_generations,
        detail=detail,
        cause=cause,
    )


def _move_cause(context: PlanContext, old: LiveInstance) -> Drift:
    host = context.fleet.hosts.get(old.host)
    if host is not None and host.drain:
        return Drift(reason=Reason.MOVE_DRAIN, origin=("hosts", old.host, "drain"))
    return Drift(reason=Reason.MOVE_PLACEMENT)


def _start(
    context: PlanContext, desired: DesiredInstance, host: str, classified: ClassifiedInstances, *, forced: bool
) -> Decision:
    """Nothing of it runs: what was recorded is started (again), or a new generation is."""
    live = None if forced else _startable_record(context, desired, host, classified)
    if live is not None:
        reason = Reason.UNFINISHED if live.state == "begun" else Reason.REBOOTED
        other_generations = tuple(instance for instance, _ in classified if instance is not live)
        return _decision(
            Action.CREATE,
            reason,
            context,
            desired,
            host,
            other_generations=other_generations,
            relaunched=live,
            launch=live.launch,
        )
    if not classified:
        return _start_new_generation(Action.CREATE, context, desired, host, cause=Drift(reason=Reason.NEW))
    ended_instance, instance_class = classified[0]
    other_generations = tuple(live for live, _ in classified[1:])
    return _recover(context, desired, host, ended_instance, instance_class, other_generations)


def _is_same_record(context: PlanContext, desired: DesiredInstance, host: str, live: LiveInstance) -> bool:
    return live.name == desired.name and live.host == host and find_drift(context, desired, live) is None


def _recover(
    context: PlanContext,
    desired: DesiredInstance,
    host: str,
    ended_instance: LiveInstance,
    instance_class: InstanceClass,
    other_generations: tuple[LiveInstance, ...],
) -> Decision:
    end_detail = f"it ended: {describe_end(ended_instance)}" if instance_class is InstanceClass.CRASHED else ""
    if instance_class is InstanceClass.LEAVING:
        other_generations, cause = (ended_instance, *other_generations), Drift(reason=Reason.NEW)
        return _start_new_generation(
            Action.CREATE,
            context,
            desired,
            host,
            other_generations=other_generations,
            cause=cause,
            detail="an earlier one is on its way out",
        )
    if instance_class is InstanceClass.DAMAGED:
        cause = Drift(reason=Reason.DAMAGED)
        return _start_new_generation(
            Action.REPLACE,
            context,
            desired,
            host,
            old=ended_instance,
            other_generations=other_generations,
            cause=cause,
            detail="its record cannot be read",
        )
    current_drift = find_drift(context, desired, ended_instance)
    if (
        current_drift is None
        and instance_class is InstanceClass.CRASHED
        and not ended_instance.proven
        and not context.options.retry
    ):
        detail = (
            f"this launch failed before it was ever healthy ({describe_end(ended_instance)}); -retry tries it again"
        )
        return _decision(
            Action.HELD,
            Reason.FAILED_BEFORE,
            context,
            desired,
            host,
            old=ended_instance,
            other_generations=other_generations,
            detail=detail,
        )
    if current_drift is None:
        reason = Reason.CRASHED if instance_class is InstanceClass.CRASHED else Reason.REBOOTED
        return _start_new_generation(
            Action.CREATE,
            context,
            desired,
            host,
            old=ended_instance,
            other_generations=other_generations,
            cause=Drift(reason=reason),
            detail=end_detail,
        )
    return _start_new_generation(
        Action.REPLACE,
        context,
        desired,
        host,
        old=ended_instance,
        other_generations=other_generations,
        cause=current_drift,
        detail=end_detail,
    )


def _start_new_generation(
    action: Action, context: PlanContext, desired: DesiredInstance, host: str, **decision_fields: Any
) -> Decision:
    """A verdict that starts a new generation."""
    return _decision(
        action,
        "",
        context,
        desired,
        host,
        launch=next_launch_number(context, desired.name, desired.fingerprint),
        **decision_fields,
    )


def with_new_generation(context: PlanContext, decision: Decision) -> Decision:
    """A relaunch whose record no longer fits (another holds its port): a new generation, and the record goes."""
    record = decision.relaunched
    assert record is not None, decision.desired.name
    return replace(
        decision,
        old=decision.old or record,
        other_generations=(*decision.other_generations, record) if decision.old else decision.other_generations,
        relaunched=None,
        launch=next_launch_number(context, decision.desired.name, decision.desired.fingerprint),
        detail="what it was recorded with is no longer free",
    )


def _decision(
    action: Action,
    reason: str,
    context: PlanContext,
    desired: DesiredInstance,
    host: str,
    *,
    cause: Drift | None = None,
    old: LiveInstance | None = None,
    **decision_fields: Any,
) -> Decision:
    cause = cause or Drift()
    is_replacement = action in (Action.REPLACE, Action.MOVE)
    order, order_reason = replacement_order(context, desired, old) if is_replacement and old else ("", "")
    return Decision(
        action=action,
        reason=reason or cause.reason,
        desired=desired,
        host=host,
        old=old,
        fields=cause.fields,
        origin=cause.origin or ("services", desired.service),
        order=order,
        order_reason=order_reason,
        **decision_fields,
    )


def replacement_order(context: PlanContext, desired: DesiredInstance, old: LiveInstance) -> tuple[str, str]:
    """Which of old and new goes first, and why."""
    shared_volumes = sorted(set(old.volumes) & set(desired.volumes.values()))
    if shared_volumes:
        return STOP_FIRST, f"volume {shared_volumes[0]} has one user at a time"
    if old.state == "damaged":
        return (STOP_FIRST, "it may hold the volume") if desired.volumes else (CREATE_FIRST, "")
    if not is_running(old):
        return STOP_FIRST, "the old one does not run"
    if context.service(desired).update.order is Order.STOP_FIRST:
        return STOP_FIRST, "the service asks for it"
    return CREATE_FIRST, ""
