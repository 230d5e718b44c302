"""Refuses an ingress configuration that is too long to be sent to a host. Pure."""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.fleet.names import join_names
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.ingress import haproxy_config, members


def ingress_too_long(draft: PlanDraft) -> Iterator[Finding]:
    """An ingress that is longer than a host can be told; while a rollout runs it holds old and new."""
    context, rollout, ingress_hosts = draft.context, draft.rollout, draft.ingress_hosts
    if not ingress_hosts or not members.may_exceed_limit((rollout.membership_before, rollout.membership_after)):
        return
    merged_membership = members.merged(rollout.membership_before, rollout.membership_after)
    length = len(members.render_config(context.fleet.owner, merged_membership))
    if length > haproxy_config.MAX_CONFIG_BYTES:
        instance_count = len(members.server_names(merged_membership))
        text = (
            f"the ingress of {join_names(sorted(ingress_hosts))} would lead to {instance_count} instances, "
            f"old and new: its configuration is {length / 1e6:.1f} MB, "
            f"and a host takes {haproxy_config.MAX_CONFIG_BYTES / 1e6:.1f} MB"
        )
        hint = "make two fleets of this one; `ingress: false` takes it off a host that needs none"
        yield Finding(path=("services",), code="ingress-too-long", summary=text, hint=hint)
