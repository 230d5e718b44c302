"""Apply a plan."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.failure import Failure, Refused
from unictl.execution.apply import Means
from unictl.execution.apply import apply as carry_out
from unictl.execution.step_runner import local_images
from unictl.execution.walk import Interrupts
from unictl.fleet.model import Connect, Host
from unictl.hosts.connector import connect
from unictl.images.local_store import Store, place
from unictl.journal.event import Event, Waiting
from unictl.journal.report import Report
from unictl.operations.planning.image_transfer import gather
from unictl.operations.planning.plan_secrets import told, values
from unictl.operations.request import ApplyOptions
from unictl.plan.file import planfile
from unictl.plan.model.plan import Plan
from unictl.secrets.secret_values import Value


def apply(
    plan: Plan,
    options: ApplyOptions,
    on_event: Callable[[Event], None],
    interrupts: Interrupts,
) -> Report:
    """The Report of one apply; a plan holds all that is needed, a saved one too.

    Before anything is touched: Refused where the plan has refusals, a Failure where image bytes or secrets are nowhere;
    Stale, Locked, Unreachable.
    """
    if not plan.can_apply:
        raise Refused("the plan cannot be applied", problems=plan.refusals)
    folder = Path(str(plan.facts["folder"]))
    hosts = {name: _host(name, facts) for name, facts in plan.hosts.items()}
    store = Store(place(options.process_environment))
    secrets = _secrets(plan, options.process_environment)
    means = Means(
        hosts=hosts,
        connect=partial(connect, tell=lambda text: on_event(Waiting(at=time.monotonic(), text=text))),
        open_image=local_images(gather(plan, folder, store, connect, hosts, on_event)),
        secrets=secrets,
        emit=on_event,
        interrupts=interrupts,
        parallelism=options.parallelism,
        lock_timeout=options.lock_timeout,
        user=options.holder,
        plan_hash=planfile.plan_hash(plan),
    )
    return carry_out(plan, means)


def _host(name: str, facts: Mapping[str, Any]) -> Host:
    reached = facts["connect"]
    return Host(
        name=name,
        connect=Connect(kind=reached["kind"], host=reached["host"], user=reached["user"], port=reached["port"]),
        address=facts.get("address", ""),
        become=facts.get("become", False),
        root=facts.get("root", ""),
    )


def _secrets(plan: Plan, environment: Mapping[str, str]) -> Mapping[str, Value]:
    found = values(plan, environment)
    if found.unread:
        problems = told(plan, found.unread, Severity.ERROR)
        raise Failure("a secret that a new instance needs cannot be read: nothing was touched", problems=problems)
    return found.values
