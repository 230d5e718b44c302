"""Carries out a plan: connect, acquire the leases, survey again, reject a stale plan, walk the steps, write the
ledger.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace

from unictl.diagnostics.failure import Failure, Interrupted, Stale, Unreachable
from unictl.execution.ingress_queue import IngressBatcher
from unictl.execution.leases import LeaseRequest, acquire_all, release_all
from unictl.execution.step_runner import ImageOpener, StepContext
from unictl.execution.surveys import Connections, Connector, resurvey, survey_all
from unictl.execution.walk import POLL_INTERVAL, Interrupts, PlanWalk
from unictl.fleet.model import Host
from unictl.hosts.connection import HostConnection
from unictl.instances.observed.host_state import UnreachableHost
from unictl.journal.event import Event, Progressed, Waiting
from unictl.journal.ledger_entry import from_report
from unictl.journal.report import Report, from_events
from unictl.plan.file import staleness
from unictl.plan.file.approval import approval_hash
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step
from unictl.plan.progress.tracker import RolloutTracker
from unictl.secrets.secret_values import SecretValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyContext:
    """What an apply needs besides the plan. ``lock_timeout`` in seconds; ``plan_hash``, ``user``: for the ledger."""

    hosts: Mapping[str, Host]
    connect: Connector
    open_image: ImageOpener
    secrets: Mapping[str, SecretValue]
    emit: Callable[[Event], None]
    interrupts: Interrupts
    parallelism: int = 10
    lock_timeout: float = 0.0
    user: str = ""
    plan_hash: str = ""


def apply_plan(plan: Plan, context: ApplyContext) -> Report:
    """The Report of one apply. Stale, Locked or Unreachable before anything is touched."""
    return asyncio.run(_apply_plan(plan, context))


async def _apply_plan(plan: Plan, context: ApplyContext) -> Report:
    touched_hosts = {step.host for step in plan.steps if step.host}
    hosts = {name: context.hosts[name] for name in sorted(touched_hosts)}
    connections = await survey_all(
        hosts, context.connect, owner=plan.owner, mark=plan.mark, former_owner=plan.was, fingerprints={}
    )
    try:
        _require_all_answered(connections)
        return await _apply_with_leases(plan, context, connections.by_host)
    finally:
        await connections.close()


def _require_all_answered(connections: Connections) -> None:
    unreachable_hosts = [
        survey for name, survey in sorted(connections.live_state.items()) if name not in connections.by_host
    ]
    if unreachable_hosts:
        summary = "; ".join(
            f"{host_state.host}: {host_state.reason}"
            for host_state in unreachable_hosts
            if isinstance(host_state, UnreachableHost)
        )
        hints = dict.fromkeys(
            host_state.hint
            for host_state in unreachable_hosts
            if isinstance(host_state, UnreachableHost) and host_state.hint
        )
        raise Unreachable(
            f"a host that the plan touches does not answer: {summary}", hint="; ".join([*hints, "then plan again"])
        )


async def _apply_with_leases(plan: Plan, context: ApplyContext, connections: Mapping[str, HostConnection]) -> Report:
    host_ids = {name: plan.hosts[name].host_id for name in connections}
    lease_request = LeaseRequest(
        owner=plan.owner,
        mark=plan.mark,
        fleet_id=plan.fleet_id,
        user=context.user,
        revision=plan.revision.commit,
    )
    acquiring = acquire_all(
        connections,
        host_ids,
        request=lease_request,
        timeout=context.lock_timeout,
        waiting=lambda text: context.emit(Waiting(at=time.monotonic(), text=text)),
    )
    tokens = await _await_unless_interrupted(acquiring, context.interrupts)
    try:
        live_state = await resurvey(
            connections, owner=plan.owner, mark=plan.mark, former_owner=plan.was, fingerprints={}
        )
        violated = staleness.violated_preconditions(plan, live_state)
        if violated:
            raise Stale("the plan is stale: what it has read has moved since", hint="plan again", problems=violated)
        report = await _walk_plan(plan, context, connections)
        await _record_result(plan, context, report, connections, tokens)
        return report
    finally:
        await release_all(connections, plan.owner)


async def _await_unless_interrupted(
    acquiring: Coroutine[None, None, dict[str, int]], interrupts: Interrupts
) -> dict[str, int]:
    """What is waited for; Interrupted once the user asks to stop meanwhile."""
    task = asyncio.ensure_future(acquiring)
    while not task.done():
        await asyncio.wait({task}, timeout=POLL_INTERVAL)
        if interrupts.count and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise Interrupted(
                "stopped before the hosts were free: nothing was touched", hint="run the same command again"
            )
    return task.result()


async def _walk_plan(plan: Plan, context: ApplyContext, connections: Mapping[str, HostConnection]) -> Report:
    events: list[Event] = []

    def emit(event: Event) -> None:
        if not isinstance(event, Progressed):
            events.append(event)
        context.emit(event)

    def progress(step: Step, done: int, total: int) -> None:
        emit(Progressed(at=time.monotonic(), step=step, done=done, total=total))

    step_context = StepContext(
        owner=plan.owner, open_image=context.open_image, secrets=context.secrets, progress=progress
    )
    walk = PlanWalk(
        tracker=RolloutTracker(plan),
        connections=connections,
        ingress=IngressBatcher(plan.owner, plan.membership),
        context=step_context,
        emit=emit,
        interrupts=context.interrupts,
        parallelism=context.parallelism,
    )
    await walk.run()
    return from_events(events)


async def _record_result(
    plan: Plan,
    context: ApplyContext,
    report: Report,
    connections: Mapping[str, HostConnection],
    tokens: Mapping[str, int],
) -> None:
    """The ledger entry on every touched host, and what nobody names any more is collected. Neither can fail an apply
    that was carried out: what is not written now is found again by the next survey."""
    hashes = {"plan_hash": context.plan_hash, "approval": approval_hash(plan)}
    ledger_entry = from_report(plan, report, at=time.time(), user=context.user, **hashes)
    for name, connection in connections.items():
        try:
            if not plan.destroys_all:
                await connection.append_ledger(plan.owner, replace(ledger_entry, token=tokens[name]))
            if report.is_complete and not plan.destroys_all:
                await _collect_garbage(plan, connection)
        except Failure:
            continue


async def _collect_garbage(plan: Plan, connection: HostConnection) -> None:
    """Let go of what lies further back than the host is to keep. A partial apply is no revision to go back to."""
    plan_host = plan.hosts[connection.name]
    await connection.collect_garbage(
        plan.owner,
        images=() if plan.partial else plan.facts.images,
        revision=plan.revision.commit,
        keep_images=plan_host.keep_images,
        keep_retired=plan_host.keep_retired,
    )
