"""Guards for ingress ports: in use, privileged, or not supported. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path
from unictl.fleet.names import listed
from unictl.plan.context.context import Situation
from unictl.plan.ingress.members import Membership

CODE = "low-ports"


def low_ports(s: Situation, after: Membership, written: Sequence[str]) -> Iterator[Finding]:
    """What is to be published where the host's user may not listen: told before anything is started."""
    barred: defaultdict[tuple[str, str, str, int, int], list[str]] = defaultdict(list)
    for host in sorted(written):
        first = next((lack.below for lack in s.answered[host].lacks if lack.code == CODE), 0)
        for service, rows in sorted(after.items()):
            for row in rows:
                if row["port"] < first:
                    barred[service, row["name"], row["bind"], row["port"], first].append(host)
    for (service, name, bind, port, first), hosts in barred.items():
        yield _finding(s, service, name, bind, port, first, hosts)


def _finding(s: Situation, service: str, name: str, bind: str, port: int, first: int, hosts: list[str]) -> Finding:
    path: Path = ("services", service, "ports")
    if bind == "*" and service in s.fleet.services:
        at = next((n for n, each in enumerate(s.fleet.services[service].publish) if each.port == port), 0)
        path = ("services", service, "publish", at)
    what = "is to be published on" if bind == "*" else "has its endpoint on"
    where = listed(hosts)
    return Finding(
        path=path,
        code="low-port",
        text=f"{name} {what} port {port}, and the user on {where} may listen on ports from {first} up only",
        hint=f"set `become: true` for {where}, or take a port from {first} up",
        related=tuple(("hosts", host) for host in hosts if host in s.fleet.hosts),
    )
