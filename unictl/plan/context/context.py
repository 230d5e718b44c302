"""The context of a plan: desired and live state side by side. Pure; decides nothing.

Hosts marked `lost: true` are left out of `surveys` and `unreachable`. If one answers anyway it goes into
`returned`, which a guard refuses; nothing else reads it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unictl.fleet.model import Fleet, Service
from unictl.fleet.names import instance_name
from unictl.instances.desired.instance import Wished
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.launch.addresses import resolve
from unictl.instances.observed.host_state import LiveInstance, Silent, Survey, World, remembered_host
from unictl.plan.context.failed_rollouts import Failed, failed_before
from unictl.plan.model.options import PlanOptions

Lives = Mapping[str, tuple[LiveInstance, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """``lives`` are by wished name: a renamed instance stands under its new one. ``lost`` hosts are declared dead, and
    not in ``world``; ``returned`` are those of them that answer.

    ``opaque``: somebody on a silent host may be behind an ingress, and where is not known: writing it anew would take
    them out. ``volumes`` are those that a host shows, and that host; ``retired`` the highest
    launch number that was retired, by name; ``had_ingress``: as last applied; ``failed``: see ``plan.memory``.
    ``meant`` remembers what references mean, ``drifts`` how specs differ (``plan.drift``).
    """

    fleet: Fleet
    facts: FleetFacts
    endpoints: Mapping[str, int]
    options: PlanOptions
    wished: tuple[Wished, ...]
    world: World
    answered: Mapping[str, Survey]
    silent: Mapping[str, str]
    lost: frozenset[str]
    returned: Mapping[str, Survey]
    lives: Lives
    volumes: Mapping[str, str]
    retired: Mapping[str, int]
    had_ingress: frozenset[str]
    opaque: bool
    failed: Failed
    commit: str = ""
    meant: dict[str, Mapping[str, str]] = field(default_factory=dict)
    drifts: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def service(self, wished: Wished) -> Service:
        """The service this is a replica of."""
        return self.fleet.services[wished.service]

    def resolved(self, wished: Wished, host: str) -> Mapping[str, str]:
        """What its references to services mean: an endpoint is the same for every replica of it, wherever."""
        if wished.service not in self.meant:
            meant = resolve(self.fleet, wished, host, self.endpoints)
            self.meant[wished.service] = {name: value for name, value in meant.items() if name.startswith("service.")}
        return self.meant[wished.service]

    def silent_ingresses(self) -> tuple[str, ...]:
        """Hosts that may route to an instance and do not answer."""
        return tuple(sorted(host for host in self.silent if self.fleet.hosts[host].ingress or host in self.had_ingress))


def look(
    fleet: Fleet,
    facts: FleetFacts,
    endpoints: Mapping[str, int],
    world: World,
    *,
    wished: tuple[Wished, ...],
    options: PlanOptions,
    commit: str = "",
) -> Situation:
    """The situation of a fleet: its hosts sorted by whether they answered, its instances by name."""
    lost = frozenset(name for name, host in fleet.hosts.items() if host.lost)
    returned = {host: said for host in sorted(lost) if isinstance(said := world.get(host), Survey)}
    world = {host: said for host, said in world.items() if host not in returned}
    answered = {host: said for host in sorted(world) if isinstance(said := world[host], Survey)}
    silent = {h: _why(world.get(h)) for h in sorted(fleet.hosts) if h not in answered and h not in lost}
    lives = _lives(fleet, answered)
    return Situation(
        fleet=fleet,
        facts=facts,
        endpoints=endpoints,
        options=options,
        commit=commit,
        wished=wished,
        world=world,
        answered=answered,
        silent=silent,
        lost=lost,
        returned=returned,
        lives=lives,
        volumes={volume.name: host for host, said in answered.items() for volume in said.volumes},
        retired=_retired(answered.values()),
        had_ingress=_had_ingress(answered.values()) if silent else frozenset(),
        failed=failed_before(answered.values()),
        opaque=bool(silent) and any(w.ports and w.name not in lives for w in wished),
    )


def _retired(surveys: Iterable[Survey]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for said in surveys:
        for name, launch in said.retired.items():
            found[name] = max(launch, found.get(name, 0))
    return found


def _had_ingress(surveys: Iterable[Survey]) -> frozenset[str]:
    """Hosts that had an ingress when the fleet was last applied, as others remember."""
    rows = {row for said in surveys for row in said.hosts or ()}
    return frozenset(host.name for host in map(remembered_host, rows) if host.ingress)


def _why(said: Survey | Silent | None) -> str:
    if not isinstance(said, Silent):
        return "it was not asked"
    return f"{said.why} ({said.hint})" if said.hint else said.why


def _lives(fleet: Fleet, answered: Mapping[str, Survey]) -> Lives:
    renamed = {service.was: service for service in fleet.services.values() if service.was not in (*fleet.services, "")}
    lives: defaultdict[str, list[LiveInstance]] = defaultdict(list)
    for host in answered.values():
        for live in host.instances:
            lives[_name(live, renamed)].append(live)
    return {name: tuple(found) for name, found in lives.items()}


def _name(live: LiveInstance, renamed: Mapping[str, Service]) -> str:
    service = renamed.get(live.service)
    if service is None or live.ordinal >= service.replicas:
        return live.name
    return instance_name(service.name, live.ordinal)
