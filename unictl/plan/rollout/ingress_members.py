"""Which hosts run an ingress, and which instances are behind it before the first step. Pure."""

from collections.abc import Iterator

from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import Situation
from unictl.plan.ingress.members import Roster, member
from unictl.plan.model.step import Kind
from unictl.plan.reconcile.classify import serving
from unictl.plan.rollout.builder import Draft, step


def ingress_hosts(s: Situation) -> tuple[str, ...]:
    """The hosts whose ingress is written: those that are to have one; of a fleet that goes, those that have one."""
    if s.options.destroy:
        return tuple(host for host, said in s.answered.items() if said.ingress.get("state", "absent") != "absent")
    hosts = s.fleet.hosts
    return tuple(host for host in s.answered if host in hosts and hosts[host].ingress and not hosts[host].lost)


def superfluous_ingresses(s: Situation) -> tuple[str, ...]:
    """Hosts of the fleet that have an ingress and are to have none."""
    wanted = ingress_hosts(s)
    has = (host for host, said in s.answered.items() if said.ingress.get("state") in ("running", "starting", "dead"))
    return tuple(host for host in has if host not in wanted)


def stop_ingress(draft: Draft, host: str) -> str:
    """End the ingress of a host."""
    return draft.add(step(f"join:{host}", Kind.JOIN, host, (), {"services": {}}, subject="ingress"))


def rosters(s: Situation) -> dict[str, Roster]:
    """Who is behind the ingress before the first step, by service: what runs and has passed its gate."""
    goes = s.options.destroy
    found = {name: Roster(name, service, s.endpoints, goes=goes) for name, service in s.fleet.services.items()}
    for name, lives in sorted(s.lives.items()):
        service = name.rpartition("-")[0]
        if service not in found:
            found[service] = Roster(service, None, s.endpoints)
        for live in _once(s, lives):
            found[service].join(live.host, member(s.fleet, live))
    return found


def _once(s: Situation, lives: tuple[LiveInstance, ...]) -> Iterator[LiveInstance]:
    """Those that serve; a host that was declared lost and is back may show a key that lives elsewhere by now."""
    if len(lives) > 1:
        lives = tuple(sorted(lives, key=lambda live: (_unwanted(s, live.host), live.host)))
    keys: set[str] = set()
    for live in lives:
        if serving(live) and live.forwards and live.key not in keys:
            keys.add(live.key)
            yield live


def _unwanted(s: Situation, host: str) -> bool:
    known = s.fleet.hosts.get(host)
    return known is None or known.lost or known.drain
