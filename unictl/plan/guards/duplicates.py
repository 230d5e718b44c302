"""Refuses plans while an instance or volume exists twice, until the user decides which one stays. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.fleet.names import declared_volume_name, join_names
from unictl.instances.observed.host_state import Survey
from unictl.plan.context.context import PlanContext
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.reconcile.classify import is_running


def lost_host_answers(draft: PlanDraft) -> Iterator[Finding]:
    """Hosts that are marked lost, and answer: whatever was lost with them may be elsewhere by now."""
    context = draft.context
    host_ids = {survey.host_id for survey in context.surveys.values()}
    for name, survey in context.returned.items():
        # The same machine under another name is a new one that stands in the place of the dead.
        if survey.host_id not in host_ids:
            yield _lost_host_answers(context, name, survey)


def _lost_host_answers(context: PlanContext, name: str, survey: Survey) -> Finding:
    path, running_names = ("hosts", name, "lost"), sorted({live.name for live in survey.instances if is_running(live)})
    if not running_names:
        text = f"{name} is marked lost, and answers; nothing of this fleet runs there"
        hint = f"take `lost: true` off {name} where it is to be used again"
        return Finding(path=path, code="lost-answers", summary=text, hint=hint, severity=Severity.WARNING)
    duplicates = [item for item in running_names if any(map(is_running, context.live_by_name.get(item, ())))]
    unique_names = [item for item in running_names if item not in duplicates]
    statements = [f"{join_names(duplicates)} {_run_verb(duplicates)} there and elsewhere too"] if duplicates else []
    statements += (
        [f"{join_names(unique_names)} {_run_verb(unique_names)} {'only ' if duplicates else ''}there"]
        if unique_names
        else []
    )
    volumes = [item.name for item in survey.volumes if item.name in context.volume_hosts]
    statements += [f"volume {item} is there and on {context.volume_hosts[item]}" for item in sorted(volumes)]
    text = f"{name} is marked lost, and answers: {'; '.join(statements)}"
    hint = (
        f"switch {name} off or take it off the net; or write `drain: true` in the place of `lost: true`: the next "
        "apply then ends there what runs elsewhere, and moves the rest"
    )
    return Finding(path=path, code="lost-answers", summary=text, hint=hint)


def _run_verb(names: list[str]) -> str:
    return "run" if len(names) > 1 else "runs"


def duplicate_volumes(draft: PlanDraft) -> Iterator[Finding]:
    """Volumes of one name on several hosts, as a host leaves behind that was declared lost and came back."""
    context = draft.context
    hosts_by_volume: defaultdict[str, list[str]] = defaultdict(list)
    for host, survey in context.surveys.items():
        for volume in survey.volumes:
            hosts_by_volume[volume.name].append(host)
    desired_volumes = {name for desired in context.desired for name in desired.volumes.values()}
    for name, hosts in sorted(hosts_by_volume.items()):
        declared_name = declared_volume_name(name, context.fleet.volumes)
        declared_volume = context.fleet.volumes.get(declared_name)
        is_pinned = declared_volume is not None and declared_volume.host in hosts
        if len(hosts) > 1 and name in desired_volumes and not is_pinned and not context.options.destroy:
            text = f"volume {name} is on {join_names(hosts)}: each may hold what the other does not"
            hint = (
                f"write `host: {hosts[0]}` or `host: {hosts[-1]}` for volume {declared_name}, the one to go on with; "
                "the other stays, and nothing uses it"
            )
            yield Finding(path=("volumes", declared_name), code="volume-twice", summary=text, hint=hint)
