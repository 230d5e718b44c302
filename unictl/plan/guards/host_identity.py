"""Refuses hosts that are another machine, or have another store, than the fleet expects. These findings come first.
Pure.
"""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.plan.context import last_applied
from unictl.plan.context.context import PlanContext
from unictl.plan.guards.draft import PlanDraft


def wrong_host(draft: PlanDraft) -> Iterator[Finding]:
    """Hosts that show another store than before, that are another machine, or that are two under one id."""
    context = draft.context
    yield from _changed_hosts(context)
    host_by_id: dict[str, str] = {}
    for name, survey in context.surveys.items():
        first_host = host_by_id.setdefault(survey.host_id, name)
        if first_host != name:
            yield _same_host_id(context, first_host, name)


def wrong_store(context: PlanContext) -> dict[str, str]:
    """Hosts that show another store than the one where the fleet is, and where that is: everything would be made a
    second time, and what the other store holds would be in the way."""
    host_ids = {survey.host_id for survey in (*context.surveys.values(), *context.returned.values())}
    other_stores = (
        (name, other_store) for name, survey in context.surveys.items() for other_store in survey.other_stores
    )
    return {name: other_store.root for name, other_store in other_stores if other_store.id not in host_ids}


def _changed_hosts(context: PlanContext) -> Iterator[Finding]:
    """What decides first of all: all that is found besides on such a host is but a consequence."""
    wrong_stores = wrong_store(context)
    for name, root in wrong_stores.items():
        text = f"{name} has this fleet in {root}, and as it is reached now its store is {context.surveys[name].root}"
        hint = f"was `become` or the user changed? Change it back, or write `root: {root}` for {name}"
        yield Finding(path=("hosts", name), code="other-store", summary=text, hint=hint)
    for name, remembering_host in last_applied.replaced_hosts(context).items():
        if name in wrong_stores:
            continue
        text = f"{name} is another machine, or has another store, than when the fleet was last applied"
        hint = (
            f"reach the old one again; or, where it is dead: apply once with `lost: true` on {name} and this one under"
        )
        yield Finding(
            path=("hosts", name),
            code="host-changed",
            summary=f"{text} (so {remembering_host} says)",
            hint=f"{hint} another name",
        )


def _same_host_id(context: PlanContext, first_host: str, second_host: str) -> Finding:
    """Two hosts with one id: one machine, or two that were started since from one disk."""
    path, code, survey = ("hosts", second_host), "same-host", context.surveys[second_host]
    if context.surveys[first_host].boot_id == survey.boot_id:
        text = f"{first_host} and {second_host} are one machine: both have the id {survey.host_id[:12]}"
        return Finding(path=path, code=code, summary=text, hint=f"keep one of {first_host} and {second_host}")
    text = (
        f"{first_host} and {second_host} are two machines that share the host-id {survey.host_id[:12]}, "
        "as clones of one disk do"
    )
    first_file = f"{context.surveys[first_host].root}/host-id on {first_host}"
    second_file = f"{survey.root}/host-id on {second_host}"
    hint = (
        f"remove the file on the one that is the copy, {first_file} or {second_file}: "
        "the next plan gives it an id of its own"
    )
    return Finding(path=path, code=code, summary=text, hint=hint)
