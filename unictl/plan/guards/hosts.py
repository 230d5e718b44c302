"""Guards for hosts: removed from the fleet file, locked, damaged, misnamed or with a wrong clock. Pure."""

from collections.abc import Iterator, Sequence

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.names import join_names
from unictl.instances.observed.host_state import UnreachableHost
from unictl.plan.context import last_applied
from unictl.plan.context.context import PlanContext
from unictl.plan.guards.draft import PlanDraft

MAX_CLOCK_SKEW = 10.0
"""Seconds that a host's clock may be off without a word."""


def host_findings(draft: PlanDraft) -> Iterator[Finding]:
    """Hosts that are gone from the file, or hold another fleet of this name, and what is odd about them."""
    context = draft.context
    for name, survey in context.surveys.items():
        for owner in survey.namesakes:
            text = f"{name} has another fleet called {context.fleet.mark}: {owner}"
            hint = "give this fleet another name, or its `id:` where it is meant to be that one"
            yield Finding(path=("fleet",), code="namesake", summary=text, hint=hint)
        if survey.lease:
            text = (
                f"{survey.lease.get('user') or 'somebody'} holds the lease of {name} now: an apply would have to wait"
            )
            yield Finding(path=("hosts", name), code="lease-held", summary=text, severity=Severity.WARNING)
        for text in survey.notes:
            hint = "if it comes often, look at the line and at MaxStartups in the sshd_config there"
            yield Finding(path=("hosts", name), code="shaky-line", summary=text, hint=hint, severity=Severity.WARNING)
        if abs(survey.skew) > MAX_CLOCK_SKEW:
            direction = "ahead of" if survey.skew > 0 else "behind"
            text = f"the clock of {name} is {_span_text(abs(survey.skew))} {direction} this machine's"
            hint = "set it right: nothing here waits by it, but every time that is told of that host is off by as much"
            yield Finding(path=("hosts", name), code="clock-skew", summary=text, hint=hint, severity=Severity.WARNING)
    for name, unreachable_host in sorted(context.live_state.items()):
        if isinstance(unreachable_host, UnreachableHost) and unreachable_host.code:
            path: DocumentPath = ("fleet",) if unreachable_host.code == "renamed" else ("hosts", name)
            yield Finding(
                path=path, code=unreachable_host.code, summary=unreachable_host.reason, hint=unreachable_host.hint
            )
    yield from _damaged_files(context)
    unseen_names = [desired.name for desired in context.desired if desired.name not in context.live_by_name]
    consequence = (
        f"; {join_names(unseen_names)} may run there, since no other host has {_pronoun(unseen_names)}"
        if unseen_names
        else ""
    )
    for name, remembering_host in last_applied.removed_hosts(context).items():
        text = (
            f"{name} is not in the fleet file any more, and was when the fleet was last applied "
            f"(so {remembering_host} says){consequence}"
        )
        hint = f"put {name} back with `drain: true` and apply, or with `lost: true` if it is dead, before you remove it"
        yield Finding(path=("hosts",), code="host-left", summary=text, hint=hint)


def _damaged_files(context: PlanContext) -> Iterator[Finding]:
    """Files on hosts that are not what they have to be, this fleet's or another's."""
    for name, survey in context.surveys.items():
        for damaged_file in survey.damaged_files:
            severity = Severity.ERROR if damaged_file.blocks_apply else Severity.WARNING
            text = f"{name}: {damaged_file.text}"
            yield Finding(
                path=("hosts", name),
                code="spoiled-file",
                summary=text,
                hint=damaged_file.hint,
                severity=severity,
            )


def _pronoun(names: Sequence[str]) -> str:
    return "them" if len(names) > 1 else "it"


def _span_text(seconds: float) -> str:
    """About how long, in the unit a person would use."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
