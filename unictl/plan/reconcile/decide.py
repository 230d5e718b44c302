"""Decides what to do about one desired instance, before ports and addresses are assigned. Pure."""

from dataclasses import dataclass, replace

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
    decision = _Decider(context=context, desired=desired, host=host).decide(forced=forced)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decider:
    """Decides about one desired instance, whatever an earlier apply found out about its health."""

    context: PlanContext
    desired: DesiredInstance
    host: str
    """Where it is placed."""

    def decide(self, *, forced: bool) -> Decision:
        """What is to be done; ``forced``: a replacement was asked for although nothing differs."""
        instances = self.context.live_by_name.get(self.desired.name, ())
        # The usual case, without looking at everything else: one instance, and it is as desired.
        if len(instances) == 1 and not forced and self._is_untainted(instances[0]):
            return self._keep(instances[0])
        classified = tuple((live, self._classify(live)) for live in _sort_best_first(instances))
        matching = [live for live, instance_class in classified if instance_class in AS_DESIRED]
        if matching and not forced:
            return self._keep_or_check(matching[0], classified)
        running_instances = [live for live, instance_class in classified if instance_class in RUNNING]
        if running_instances:
            return self._replace_running(running_instances[0], classified, forced=forced)
        return self._start(classified, forced=forced)

    def _is_untainted(self, live: LiveInstance) -> bool:
        return live.state == "running" and self._classify(live) is InstanceClass.UNTAINTED

    def _classify(self, live: LiveInstance) -> InstanceClass:
        service = self.context.service(self.desired)
        return classify(
            live,
            host=self.host,
            differs=self._drift(live) is not None,
            clean_exit_expected=service.kind == "job" or service.activation is not None,
        )

    def _drift(self, live: LiveInstance) -> Drift | None:
        return find_drift(self.context, self.desired, live)

    def _keep(self, live: LiveInstance, other_generations: tuple[LiveInstance, ...] = ()) -> Decision:
        return Decision(
            action=Action.KEEP,
            reason=Reason.UNCHANGED,
            desired=self.desired,
            host=self.host,
            old=live,
            other_generations=other_generations,
        )

    def _keep_or_check(self, best: LiveInstance, classified: ClassifiedInstances) -> Decision:
        """One of the desired generation is there: kept if it passed its gate, else it has to pass it (again)."""
        other_generations = tuple(live for live, _ in classified if live is not best)
        if (best, InstanceClass.UNPROVEN) not in classified:
            return self._keep(best, other_generations)
        detail = "launched by an earlier apply, and never seen healthy: it has to pass its gate from the beginning"
        old = next((live for live in other_generations if is_serving(live)), None)
        if old is None:
            return self._decision(
                Action.CREATE,
                Reason.UNFINISHED,
                other_generations=other_generations,
                adopted=best,
                detail=detail,
            )
        # Another generation serves meanwhile: this is the second half of a replacement that was interrupted.
        cause = self._drift(old) or Drift(reason=Reason.MOVE_PLACEMENT)
        return self._decision(
            Action.REPLACE if old.host == self.host else Action.MOVE,
            cause.reason,
            old=old,
            other_generations=tuple(live for live in other_generations if live is not old),
            adopted=best,
            cause=cause,
            detail=detail,
        )

    def _replace_running(self, old: LiveInstance, classified: ClassifiedInstances, *, forced: bool) -> Decision:
        other_generations = tuple(live for live, _ in classified if live is not old)
        cause = self._drift(old)
        action = Action.REPLACE
        if old.host != self.host:
            if old.protect:
                return self._hold_protected(old, other_generations)
            action, move_cause = Action.MOVE, self._move_cause(old)
            cause = Drift(reason=move_cause.reason, fields=cause.fields if cause else (), origin=move_cause.origin)
        elif cause is None or forced:
            cause = Drift(reason=Reason.REQUESTED, fields=cause.fields if cause else ())
        record = None if forced else self._startable_record(classified)
        if record is None:
            return self._start_new_generation(action, old=old, other_generations=other_generations, cause=cause)
        return self._decision(
            action,
            "",
            old=old,
            other_generations=tuple(live for live in other_generations if live is not record),
            cause=cause,
            relaunched=record,
            launch=record.launch,
            detail="its launch was begun by an earlier apply, and goes on",
        )

    def _startable_record(self, classified: ClassifiedInstances) -> LiveInstance | None:
        """What was recorded as it is desired, where it is desired, and does not run: it only has to be started."""
        startable = (InstanceClass.BEGUN, InstanceClass.LOST)
        candidates = (live for live, instance_class in classified if instance_class in startable)
        return next((live for live in candidates if self._is_same_record(live)), None)

    def _is_same_record(self, live: LiveInstance) -> bool:
        return live.name == self.desired.name and live.host == self.host and self._drift(live) is None

    def _hold_protected(self, old: LiveInstance, other_generations: tuple[LiveInstance, ...]) -> Decision:
        """A move that must not be: the instance is protected where it runs."""
        decision = self._decision(
            Action.HELD,
            "",
            old=old,
            other_generations=other_generations,
            detail=f"it would move to {self.host}",
            cause=Drift(reason=Reason.PROTECTED, origin=("services", self.desired.service, "protect")),
        )
        return replace(decision, host=old.host)

    def _move_cause(self, old: LiveInstance) -> Drift:
        host = self.context.fleet.hosts.get(old.host)
        if host is not None and host.drain:
            return Drift(reason=Reason.MOVE_DRAIN, origin=("hosts", old.host, "drain"))
        return Drift(reason=Reason.MOVE_PLACEMENT)

    def _start(self, classified: ClassifiedInstances, *, forced: bool) -> Decision:
        """Nothing of it runs: what was recorded is started (again), or a new generation is."""
        record = None if forced else self._startable_record(classified)
        if record is not None:
            return self._decision(
                Action.CREATE,
                Reason.UNFINISHED if record.state == "begun" else Reason.REBOOTED,
                other_generations=tuple(live for live, _ in classified if live is not record),
                relaunched=record,
                launch=record.launch,
            )
        if not classified:
            return self._start_new_generation(Action.CREATE, cause=Drift(reason=Reason.NEW))
        ended_instance, instance_class = classified[0]
        return self._recover(ended_instance, instance_class, tuple(live for live, _ in classified[1:]))

    def _recover(
        self, ended: LiveInstance, instance_class: InstanceClass, other_generations: tuple[LiveInstance, ...]
    ) -> Decision:
        if instance_class is InstanceClass.LEAVING:
            return self._start_new_generation(
                Action.CREATE,
                other_generations=(ended, *other_generations),
                cause=Drift(reason=Reason.NEW),
                detail="an earlier one is on its way out",
            )
        if instance_class is InstanceClass.DAMAGED:
            return self._start_new_generation(
                Action.REPLACE,
                old=ended,
                other_generations=other_generations,
                cause=Drift(reason=Reason.DAMAGED),
                detail="its record cannot be read",
            )
        has_crashed = instance_class is InstanceClass.CRASHED
        current_drift = self._drift(ended)
        if current_drift is not None:
            action, cause = Action.REPLACE, current_drift
        elif has_crashed and not ended.proven and not self.context.options.retry:
            # The same again would fail the same way: it waits until something changes, or somebody asks for it.
            return self._decision(
                Action.HELD,
                Reason.FAILED_BEFORE,
                old=ended,
                other_generations=other_generations,
                detail=f"this launch failed before it was ever healthy ({describe_end(ended)}); -retry tries it again",
            )
        else:
            action, cause = Action.CREATE, Drift(reason=Reason.CRASHED if has_crashed else Reason.REBOOTED)
        return self._start_new_generation(
            action,
            old=ended,
            other_generations=other_generations,
            cause=cause,
            detail=f"it ended: {describe_end(ended)}" if has_crashed else "",
        )

    def _start_new_generation(
        self,
        action: Action,
        *,
        cause: Drift,
        old: LiveInstance | None = None,
        other_generations: tuple[LiveInstance, ...] = (),
        detail: str = "",
    ) -> Decision:
        return self._decision(
            action,
            "",
            cause=cause,
            old=old,
            other_generations=other_generations,
            launch=next_launch_number(self.context, self.desired.name, self.desired.fingerprint),
            detail=detail,
        )

    def _decision(
        self,
        action: Action,
        reason: str,
        *,
        cause: Drift | None = None,
        old: LiveInstance | None = None,
        other_generations: tuple[LiveInstance, ...] = (),
        launch: int = 0,
        relaunched: LiveInstance | None = None,
        adopted: LiveInstance | None = None,
        detail: str = "",
    ) -> Decision:
        cause = cause or Drift()
        order, order_reason = "", ""
        if action in (Action.REPLACE, Action.MOVE) and old:
            order, order_reason = replacement_order(self.context, self.desired, old)
        return Decision(
            action=action,
            reason=reason or cause.reason,
            desired=self.desired,
            host=self.host,
            old=old,
            other_generations=other_generations,
            launch=launch,
            relaunched=relaunched,
            adopted=adopted,
            fields=cause.fields,
            order=order,
            order_reason=order_reason,
            detail=detail,
            origin=cause.origin or ("services", self.desired.service),
        )


def _sort_best_first(instances: tuple[LiveInstance, ...]) -> list[LiveInstance]:
    """The proven before the rest, the newest of those first; the host breaks the tie."""
    return sorted(instances, key=lambda live: (not is_serving(live), -live.launch, live.host, live.generation))


def next_launch_number(context: PlanContext, name: str, fingerprint: str) -> int:
    """1 + the highest launch number in any record of that name; beyond it where that generation's folder is there."""
    instances = [live for live in context.live_by_name.get(name, ()) if live.name == name]
    number = 1 + max([context.retired_launches.get(name, 0), *(live.launch for live in instances)])
    used_generations = {live.generation for live in instances}
    while generation(fingerprint, number) in used_generations:
        number += 1
    return number


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
