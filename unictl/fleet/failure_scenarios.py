"""Failure scenarios of a fleet test: ``any host``, ``any 2 hosts``, ``any zone``, ``hv1``, ``@zone=a``, and the
host sets they stand for. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb

from unictl.fleet.model import Host, HostLoss
from unictl.fleet.selection import host_labels, select_hosts
from unictl.fleet.selection import parse_selector as selection

_ANY = re.compile(r"any +(?:([0-9]{1,3}) +)?([A-Za-z0-9][A-Za-z0-9._/-]{0,62})")
_PLURALS = {"hosts": "host", "zones": "zone"}
MAX_SCENARIOS = 5000
"""As many ways to lose hosts are tried; a test with more of them is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureScenario:
    """One way to lose hosts: in words, and the hosts' names."""

    description: str
    hosts: tuple[str, ...]


def parse_host_loss(text: str) -> HostLoss:
    """The Loss that ``text`` means; ValueError with a sentence."""
    match = _ANY.fullmatch(text.strip())
    if match:
        count = int(match[1] or 1)
        if count < 1:
            raise ValueError(f"{text!r} loses nothing: write any host, or any 2 hosts")
        return HostLoss(any=_PLURALS.get(match[2], match[2]), count=count)
    selection(text)
    if not text.strip():
        raise ValueError("nothing is lost: write any host, any zone, or the names of hosts")
    return HostLoss(hosts=text)


def expand_scenarios(loss: HostLoss, hosts: Mapping[str, Host]) -> Iterator[FailureScenario]:
    """Every way in which ``loss`` can happen to ``hosts``."""
    if loss.hosts:
        selected = tuple(host.name for host in select_hosts(loss.hosts, hosts.values()))
        if selected:
            yield FailureScenario(description=", ".join(selected), hosts=selected)
        return
    groups = _group_hosts(loss.any, hosts)
    count = min(loss.count, len(groups))
    for lost in combinations(sorted(groups), count) if count else ():
        names = tuple(name for value in lost for name in groups[value])
        yield FailureScenario(
            description=" and ".join(
                lost if loss.any == "host" else (f"{loss.any} {label_value}" for label_value in lost)
            ),
            hosts=names,
        )


def count_scenarios(loss: HostLoss, hosts: Mapping[str, Host]) -> int:
    """How many ways there are, without making them; of named hosts one."""
    return 1 if loss.hosts else comb(len(_group_hosts(loss.any, hosts)), loss.count)


def _group_hosts(label: str, hosts: Mapping[str, Host]) -> Mapping[str, list[str]]:
    """Hosts by the value of a label; those without it are never lost. By ``host``, each is alone."""
    groups: dict[str, list[str]] = {}
    for name, host in sorted(hosts.items()):
        value = name if label == "host" else host_labels(host).get(label, "")
        if value:
            groups.setdefault(value, []).append(name)
    return groups
