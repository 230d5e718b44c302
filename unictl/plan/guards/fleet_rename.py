"""Refuses to rename a fleet where hosts have data under several names. Pure.

A rename changes nothing that runs: hosts keep their data in place and use the new name from the next apply on.
Whatever could belong to another fleet, or exists under both names, is refused.
"""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.fleet.names import join_names
from unictl.plan.context import rename
from unictl.plan.context.context import PlanContext
from unictl.plan.guards.draft import PlanDraft


def rename_conflicts(draft: PlanDraft) -> Iterator[Finding]:
    """What speaks against taking over, or against beginning anew, what hosts have under another name."""
    context = draft.context
    for host, survey in context.surveys.items():
        yield from _data_under_both_names(context, host, survey.naming.both)
        for same_id_mark in survey.naming.kin:
            yield _same_fleet_id(context, host, same_id_mark)
    yield from _instances_under_both_names(context)
    if not any(survey.naming.owner for survey in context.surveys.values()):
        for host, survey in context.surveys.items():
            for other_owner in survey.naming.former:
                text = f"the fleet {context.fleet.was} on {host} is another one ({other_owner}): it is not taken over"
                hint = "write the name that this fleet had, or take `was` away to begin anew"
                yield Finding(path=("fleet", "was"), code="another-fleet", summary=text, hint=hint)


def _data_under_both_names(context: PlanContext, host: str, names: tuple[str, ...]) -> Iterator[Finding]:
    if names:
        fleet = context.fleet
        text = f"{host} has this fleet under both names: {join_names(names)} of {fleet.was}, and others of {fleet.name}"
        yield Finding(
            path=("fleet", "was"),
            code="both-names",
            summary=text,
            hint=_KEEP_ONE_NAME_HINT.format(was=context.fleet.was),
        )


def _instances_under_both_names(context: PlanContext) -> Iterator[Finding]:
    """Instances that one host has under the former name, and another under the new one."""
    unrenamed_hosts = set(rename.pending_hosts(context))
    for name, instances in sorted(context.live_by_name.items()) if unrenamed_hosts else ():
        old_hosts = [live.host for live in instances if live.host in unrenamed_hosts]
        new_hosts = [live.host for live in instances if live.host not in unrenamed_hosts]
        if old_hosts and new_hosts:
            former_place = f"of {context.fleet.was} on {old_hosts[0]}"
            current_place = f"of {context.fleet.name} on {new_hosts[0]}"
            text = f"{name} is there under both names: {former_place}, {current_place}"
            yield Finding(
                path=("fleet", "was"),
                code="both-names",
                summary=text,
                hint=_KEEP_ONE_NAME_HINT.format(was=context.fleet.was),
            )


_KEEP_ONE_NAME_HINT = "end what one of them has (`unictl destroy`, under `name: {was}` for that), or take `was` away"


def _same_fleet_id(context: PlanContext, host: str, same_id_mark: str) -> Finding:
    name = same_id_mark.partition("@")[0]
    text = (
        f"{host} has this fleet (id {context.fleet.id}) under the name {name}: "
        "applied as it is, all would be there twice"
    )
    if context.fleet.was:
        hint = f"write `was: {name}`; what it was called in between is taken over by another apply"
    else:
        hint = f"if it has a new name now: `was: {name}`; if it is another fleet, give it an `id:` of its own"
    return Finding(
        path=("fleet", "was") if context.fleet.was else ("fleet",), code="renamed-fleet", summary=text, hint=hint
    )
