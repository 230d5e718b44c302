"""What hosts remember of the last apply: the policy and the hosts of the fleet. Pure.

Every host remembers every host, so each is stored as one short text: a fleet of a thousand hosts reads a million of
them. The stricter of the remembered and the new policy applies, and a host that was removed from the fleet file is
recognised here.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from unictl.fleet.model import Policy
from unictl.fleet.quantities import Share, parse_share
from unictl.instances.observed.host_state import RememberedHost, Survey, parse_remembered_host
from unictl.instances.observed.survey_facts import RememberedPolicy
from unictl.plan.context.context import PlanContext


def policy_json(policy: Policy) -> RememberedPolicy:
    """A policy as hosts remember it."""
    return {
        "max_destroy": str(policy.max_destroy),
        "max_changes": str(policy.max_changes) if policy.max_changes else None,
        "require_clean_tree": policy.require_clean_tree,
        "require_health": policy.require_health,
        "signed_commits": list(policy.signed_commits),
        "signed_images": list(policy.signed_images),
    }


def hosts_json(context: PlanContext, hosts_in_use: Container[str] = ()) -> list[str]:
    """The hosts as remembered, by id: another name is no other host. ``leaving``: it may leave the fleet file, which
    a drained host may not while something still ``hosts_in_use`` on it, nor while it does not answer."""
    remembered_hosts = (
        {remembered.name: remembered for remembered, _ in _remembered_hosts(context) if remembered.id}
        if context.unreachable or context.lost_hosts
        else {}
    )
    return [
        RememberedHost(
            name=name,
            id=context.surveys[name].host_id
            if name in context.surveys
            else remembered_hosts[name].id
            if name in remembered_hosts
            else "",
            leaving=host.lost or (host.drain and _is_drained(context, name, remembered_hosts.get(name), hosts_in_use)),
            ingress=host.ingress,
        ).text
        for name, host in sorted(context.fleet.hosts.items())
    ]


def _is_drained(
    context: PlanContext, name: str, remembered: RememberedHost | None, hosts_in_use: Container[str]
) -> bool:
    return name not in hosts_in_use if name in context.surveys else remembered is not None and remembered.leaving


def _remembered_hosts(context: PlanContext) -> Iterator[tuple[RememberedHost, str]]:
    """Every remembered host and who remembers it; what many remember alike is looked at once."""
    seen: set[tuple[str, ...]] = set()
    for host, survey in context.surveys.items():
        if survey.hosts and survey.hosts not in seen:
            seen.add(survey.hosts)
            for host_text in survey.hosts:
                if " " in host_text:
                    # What is written otherwise was damaged, which its host says.
                    yield parse_remembered_host(host_text), host


def is_outdated(survey: Survey, policy: RememberedPolicy, hosts: tuple[str, ...]) -> bool:
    """Whether a host remembers something else, or nothing."""
    return survey.policy != policy or survey.hosts != hosts


def effective_policies(context: PlanContext) -> tuple[Policy, ...]:
    """The policies that rule: the new one, and every one that a host remembers. All have to agree."""
    remembered: list[RememberedPolicy] = []
    for survey in context.surveys.values():
        if survey.policy and survey.policy not in remembered:
            remembered.append(survey.policy)
    return (context.fleet.policy, *map(_decode_policy, remembered))


def _decode_policy(document: RememberedPolicy) -> Policy:
    return Policy(
        max_destroy=_decode_share(document.get("max_destroy")) or Policy().max_destroy,
        max_changes=_decode_share(document.get("max_changes")),
        require_clean_tree=bool(document.get("require_clean_tree")),
        require_health=bool(document.get("require_health")),
    )


def _decode_share(text: Any) -> Share | None:
    """None also where it is damaged: then it rules nothing."""
    try:
        return parse_share(text) if text is not None else None
    except ValueError:
        return None


def removed_hosts(context: PlanContext) -> Mapping[str, str]:
    """Hosts that were in the fleet as last applied, may not leave it, and are in it no more: name -> who remembers."""
    host_ids = {survey.host_id for survey in context.surveys.values()}
    return {
        remembered.name: host
        for remembered, host in _remembered_hosts(context)
        if remembered.name not in context.fleet.hosts and remembered.id not in host_ids and not remembered.leaving
    }


def replaced_hosts(context: PlanContext) -> Mapping[str, str]:
    """Hosts of the fleet that are another machine or store than when it was last applied, while the one of then is
    nowhere to be seen: name -> who remembers.

    What one host remembers, and another does not any more, is old: an apply has taken in the machine that is there
    now, while that one was silent.
    """
    host_ids = {survey.host_id for survey in context.surveys.values()}
    adopted_names = {
        remembered.name
        for remembered, _ in _remembered_hosts(context)
        if remembered.name in context.surveys and remembered.id == context.surveys[remembered.name].host_id
    }
    return {
        remembered.name: host
        for remembered, host in _remembered_hosts(context)
        if remembered.name in context.surveys
        and remembered.id
        and remembered.id not in host_ids
        and not remembered.leaving
        and remembered.name not in adopted_names
    }
