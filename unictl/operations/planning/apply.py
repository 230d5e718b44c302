"""Apply a plan."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.failure import Failure, Refused
from unictl.execution.apply import ApplyContext
from unictl.execution.apply import apply_plan as carry_out
from unictl.execution.step_runner import local_image_opener
from unictl.execution.walk import Interrupts
from unictl.fleet.model import Host
from unictl.hosts.connector import connect_host
from unictl.images.local_store import LocalStore, default_store_directory
from unictl.journal.event import Event, Waiting
from unictl.journal.report import Report
from unictl.operations.planning.image_transfer import collect_images
from unictl.operations.planning.plan_secrets import read_plan_secrets, unreadable_secrets
from unictl.operations.request import ApplyOptions
from unictl.plan.file import planfile
from unictl.plan.model.plan import Plan
from unictl.plan.model.plan_host import PlanHost
from unictl.secrets.secret_values import SecretValue


def apply_plan(
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
    folder = Path(plan.facts.folder)
    hosts = {name: _fleet_host(name, plan_host) for name, plan_host in plan.hosts.items()}
    store = LocalStore(default_store_directory(options.process_environment))
    secrets = _require_secrets(plan, options.process_environment)
    apply_context = ApplyContext(
        hosts=hosts,
        connect=partial(connect_host, on_reconnect=lambda text: on_event(Waiting(at=time.monotonic(), text=text))),
        open_image=local_image_opener(collect_images(plan, folder, store, connect_host, hosts, on_event)),
        secrets=secrets,
        emit=on_event,
        interrupts=interrupts,
        parallelism=options.parallelism,
        lock_timeout=options.lock_timeout,
        user=options.holder,
        plan_hash=planfile.plan_hash(plan),
    )
    return carry_out(plan, apply_context)


def _fleet_host(name: str, plan_host: PlanHost) -> Host:
    return Host(
        name=name,
        connect=plan_host.connect,
        address=plan_host.address,
        become=plan_host.become,
        root=plan_host.root,
    )


def _require_secrets(plan: Plan, environment: Mapping[str, str]) -> Mapping[str, SecretValue]:
    secret_values = read_plan_secrets(plan, environment)
    if secret_values.unreadable:
        problems = unreadable_secrets(plan, secret_values.unreadable, Severity.ERROR)
        raise Failure("a secret that a new instance needs cannot be read: nothing was touched", problems=problems)
    return secret_values.values
