"""What hosts remember of the last apply: the policy and the hosts of the fleet. Pure.

Every host remembers every host, so each is stored as one short text: a fleet of a thousand hosts reads a million of
them. The stricter of the remembered and the new policy applies, and a host that was removed from the fleet file is
recognised here.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from unictl.fleet.model import Policy
from unictl.fleet.quantities import Share, share
from unictl.instances.observed.host_state import RememberedHost, Survey, remembered_host
from unictl.plan.context.context import Situation


def policy_json(policy: Policy) -> dict[str, Any]:
    """A policy as hosts remember it."""
    return {
        "max_destroy": str(policy.max_destroy),
        "max_changes": str(policy.max_changes) if policy.max_changes else None,
        "require_clean_tree": policy.require_clean_tree,
        "require_health": policy.require_health,
        "signed_commits": list(policy.signed_commits),
        "signed_images": list(policy.signed_images),
    }


def hosts_json(s: Situation, stays: Container[str] = ()) -> list[str]:
    """The hosts as remembered, by id: another name is no other host. ``leaving``: it may leave the fleet file, which
    a drained host may not while something still ``stays`` on it, nor while it does not answer."""
    known = {row.name: row for row, _ in _rows(s) if row.id} if s.silent or s.lost else {}
    return [
        RememberedHost(
            name=name,
            id=s.answered[name].host_id if name in s.answered else known[name].id if name in known else "",
            leaving=host.lost or (host.drain and _drained(s, name, known.get(name), stays)),
            ingress=host.ingress,
        ).text
        for name, host in sorted(s.fleet.hosts.items())
    ]


def _drained(s: Situation, name: str, known: RememberedHost | None, stays: Container[str]) -> bool:
    return name not in stays if name in s.answered else known is not None and known.leaving


def _rows(s: Situation) -> Iterator[tuple[RememberedHost, str]]:
    """Every remembered host and who remembers it; what many remember alike is looked at once."""
    seen: set[tuple[str, ...]] = set()
    for host, said in s.answered.items():
        if said.hosts and said.hosts not in seen:
            seen.add(said.hosts)
            for row in said.hosts:
                if " " in row:
                    # What is written otherwise was damaged, which its host says.
                    yield remembered_host(row), host


def differs(said: Survey, policy: Mapping[str, Any], hosts: tuple[str, ...]) -> bool:
    """Whether a host remembers something else, or nothing."""
    return said.policy != policy or said.hosts != hosts


def stricter(s: Situation) -> tuple[Policy, ...]:
    """The policies that rule: the new one, and every one that a host remembers. All have to agree."""
    remembered: list[Mapping[str, Any]] = []
    for said in s.answered.values():
        if said.policy and said.policy not in remembered:
            remembered.append(said.policy)
    return (s.fleet.policy, *map(_policy, remembered))


def _policy(row: Mapping[str, Any]) -> Policy:
    return Policy(
        max_destroy=_share(row.get("max_destroy")) or Policy().max_destroy,
        max_changes=_share(row.get("max_changes")),
        require_clean_tree=bool(row.get("require_clean_tree")),
        require_health=bool(row.get("require_health")),
    )


def _share(text: Any) -> Share | None:
    """None also where it is damaged: then it rules nothing."""
    try:
        return share(text) if text is not None else None
    except ValueError:
        return None


def left(s: Situation) -> Mapping[str, str]:
    """Hosts that were in the fleet as last applied, may not leave it, and are in it no more: name -> who remembers."""
    ids = {said.host_id for said in s.answered.values()}
    return {
        row.name: host
        for row, host in _rows(s)
        if row.name not in s.fleet.hosts and row.id not in ids and not row.leaving
    }


def changed(s: Situation) -> Mapping[str, str]:
    """Hosts of the fleet that are another machine or store than when it was last applied, while the one of then is
    nowhere to be seen: name -> who remembers.

    What one host remembers, and another does not any more, is old: an apply has taken in the machine that is there
    now, while that one was silent.
    """
    ids = {said.host_id for said in s.answered.values()}
    taken_in = {row.name for row, _ in _rows(s) if row.name in s.answered and row.id == s.answered[row.name].host_id}
    return {
        row.name: host
        for row, host in _rows(s)
        if row.name in s.answered and row.id and row.id not in ids and not row.leaving and row.name not in taken_in
    }
