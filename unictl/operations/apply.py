"""Carry out a plan."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import InvalidFleet, Refused
from unictl.execution.act import local_images
from unictl.execution.apply import Means
from unictl.execution.apply import apply as carry_out
from unictl.execution.walk import Interrupts
from unictl.fleet.model import Connect, Host, Secret
from unictl.hosts.connect import connect
from unictl.images.file import facts_of
from unictl.journal.event import Event
from unictl.journal.report import Report
from unictl.operations.request import ApplyOptions, FleetRequest
from unictl.operations.settle import settle
from unictl.plan import planfile
from unictl.plan.plan import Plan
from unictl.plan.step import Kind
from unictl.revisions.worktree import WorkTree
from unictl.secrets.resolve import Value, read_all


def apply(
    plan: Plan,
    request: FleetRequest | None,
    options: ApplyOptions,
    on_event: Callable[[Event], None],
    interrupts: Interrupts,
) -> Report:
    """The Report of one apply. ``request`` is None for a saved plan, which holds all that is needed.

    Refused where the plan has refusals or needs image bytes or secrets that are nowhere; Stale, Locked, Unreachable
    before anything is touched.
    """
    if not plan.can_apply:
        raise Refused("the plan cannot be applied", problems=plan.refusals)
    folder = Path(str(plan.facts["folder"]))
    means = Means(
        hosts={name: _host(name, facts) for name, facts in plan.hosts.items()},
        connect=connect,
        open_image=local_images(_images(plan, request, folder)),
        secrets=_secrets(plan, options.process_environment, folder),
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


def _images(plan: Plan, request: FleetRequest | None, folder: Path) -> dict[str, Path]:
    """Digest -> a file of this machine for every image the plan stages; refused here, before a host is touched."""
    staged = {step.data["digest"]: step for step in plan.steps if step.kind is Kind.STAGE}
    if not staged:
        return {}
    if request is not None and request.at:
        known = dict(settle(request).images)
    else:
        known = {digest: folder / image["path"] for digest, image in plan.images.items() if image.get("path")}
    missing = [digest for digest in staged if not _has(known.get(digest), digest)]
    if missing:
        raise InvalidFleet(
            "the bytes of an image are nowhere: " + ", ".join(f"{staged[d].subject} ({d[:12]})" for d in missing),
            hint="the file was changed or removed since the plan was made: build it again, or plan again",
        )
    return known


def _has(place: Path | None, digest: str) -> bool:
    return place is not None and place.is_file() and facts_of(WorkTree(place.parent), place.name).sha256 == digest


def _secrets(plan: Plan, environment: Mapping[str, str], folder: Path) -> Mapping[str, Value]:
    wanted = {name for step in plan.steps if step.kind is Kind.LAUNCH for name in step.data["secrets"]}
    known: Mapping[str, Mapping[str, str]] = plan.facts.get("secrets", {})
    named = {name: Secret(name=name, env=known[name]["env"], file=known[name]["file"]) for name in sorted(wanted)}
    found = read_all(named, environment, folder)
    if found.unread:
        problems = tuple(Diagnostic(code=f.code, summary=f.text, hint=f.hint) for f in found.unread)
        raise Refused("a secret that a new instance needs cannot be read", problems=problems)
    return found.values
