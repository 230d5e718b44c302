"""Carries out a plan: connect, acquire the leases, survey again, reject a stale plan, walk the steps, write the
ledger.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from unictl.diagnostics.failure import Failure, Interrupted, Stale, Unreachable
from unictl.execution.ingress_queue import Board
from unictl.execution.leases import acquire_all, release_all
from unictl.execution.step_runner import Opener, Tools
from unictl.execution.surveys import Connect, Reached, survey_again, survey_all
from unictl.execution.walk import POLL, Interrupts, Walk
from unictl.fleet.model import Host, Keep
from unictl.hosts.host import Host as Connection
from unictl.instances.observed.host_state import Silent
from unictl.journal.event import Event, Progressed, Waiting
from unictl.journal.ledger_entry import entry
from unictl.journal.report import Report, fold
from unictl.plan.file import staleness
from unictl.plan.file.approval import approval_hash
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step
from unictl.plan.progress.tracker import Course
from unictl.secrets.secret_values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an apply needs besides the plan. ``lock_timeout`` in seconds; ``plan_hash``, ``user``: for the ledger."""

    hosts: Mapping[str, Host]
    connect: Connect
    open_image: Opener
    secrets: Mapping[str, Value]
    emit: Callable[[Event], None]
    interrupts: Interrupts
    parallelism: int = 10
    lock_timeout: float = 0.0
    user: str = ""
    plan_hash: str = ""


def apply(plan: Plan, means: Means) -> Report:
    """The Report of one apply. Stale, Locked or Unreachable before anything is touched."""
    return asyncio.run(_apply(plan, means))


async def _apply(plan: Plan, means: Means) -> Report:
    touched = {step.host for step in plan.steps if step.host}
    hosts = {name: means.hosts[name] for name in sorted(touched)}
    reached = await survey_all(hosts, means.connect, owner=plan.owner, mark=plan.mark, was=plan.was, full={})
    try:
        _all_answered(reached)
        return await _with_leases(plan, means, reached.connections)
    finally:
        await reached.close()


def _all_answered(reached: Reached) -> None:
    silent = [said for name, said in sorted(reached.world.items()) if name not in reached.connections]
    if silent:
        words = "; ".join(f"{s.host}: {s.why}" for s in silent if isinstance(s, Silent))
        hints = dict.fromkeys(s.hint for s in silent if isinstance(s, Silent) and s.hint)
        raise Unreachable(
            f"a host that the plan touches does not answer: {words}", hint="; ".join([*hints, "then plan again"])
        )


async def _with_leases(plan: Plan, means: Means, connections: Mapping[str, Connection]) -> Report:
    fleet = {"owner": plan.owner, "mark": plan.mark, "id": plan.fleet_id}
    ids = {name: str(plan.hosts[name]["host_id"]) for name in connections}
    holder = {"user": means.user, "revision": plan.revision.commit, "doing": "apply"}
    acquiring = acquire_all(
        connections,
        ids,
        fleet=fleet,
        holder=holder,
        timeout=means.lock_timeout,
        waiting=lambda text: means.emit(Waiting(at=time.monotonic(), text=text)),
    )
    tokens = await _unless_stopped(acquiring, means.interrupts)
    try:
        world = await survey_again(connections, owner=plan.owner, mark=plan.mark, was=plan.was, full={})
        moved = staleness.moved(plan, world)
        if moved:
            raise Stale("the plan is stale: what it has read has moved since", hint="plan again", problems=moved)
        report = await _walk(plan, means, connections)
        await _write_down(plan, means, report, connections, tokens)
        return report
    finally:
        await release_all(connections, plan.owner)


async def _unless_stopped(acquiring: Coroutine[None, None, dict[str, int]], interrupts: Interrupts) -> dict[str, int]:
    """What is waited for; Interrupted once the user asks to stop meanwhile."""
    task = asyncio.ensure_future(acquiring)
    while not task.done():
        await asyncio.wait({task}, timeout=POLL)
        if interrupts.count and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise Interrupted(
                "stopped before the hosts were free: nothing was touched", hint="run the same command again"
            )
    return task.result()


async def _walk(plan: Plan, means: Means, connections: Mapping[str, Connection]) -> Report:
    events: list[Event] = []

    def emit(event: Event) -> None:
        if not isinstance(event, Progressed):
            events.append(event)
        means.emit(event)

    def progress(step: Step, done: int, total: int) -> None:
        emit(Progressed(at=time.monotonic(), step=step, done=done, total=total))

    tools = Tools(owner=plan.owner, open_image=means.open_image, secrets=means.secrets, progress=progress)
    walk = Walk(
        course=Course(plan),
        connections=connections,
        board=Board(plan.owner, plan.membership),
        tools=tools,
        emit=emit,
        interrupts=means.interrupts,
        parallelism=means.parallelism,
    )
    await walk.run()
    return fold(events)


async def _write_down(
    plan: Plan, means: Means, report: Report, connections: Mapping[str, Connection], tokens: Mapping[str, int]
) -> None:
    """The ledger entry on every touched host, and what nobody names any more is collected. Neither can fail an apply
    that was carried out: what is not written now is found again by the next survey."""
    hashes = {"plan_hash": means.plan_hash, "approval": approval_hash(plan)}
    made = entry(plan, report, at=time.time(), user=means.user, **hashes).to_json()
    for name, connection in connections.items():
        try:
            if not plan.destroys_all:
                await connection.ledger_append(plan.owner, {**made, "token": tokens[name]})
            if report.complete and not plan.destroys_all:
                await _collect(plan, connection)
        except Failure:
            continue


async def _collect(plan: Plan, connection: Connection) -> None:
    """Let go of what lies further back than the host is to keep. A partial apply is no revision to go back to."""
    keep = plan.hosts[connection.name].get("keep", {})
    await connection.collect(
        plan.owner,
        images=() if plan.partial else tuple(plan.facts.get("images", ())),
        revision=plan.revision.commit,
        keep_images=keep.get("images", Keep().images),
        keep_retired=keep.get("retired", Keep().retired),
    )
