"""Which hosts may run a service, and why the others may not. Pure.

Capacity does not matter here: only what the fleet file and the capabilities of the hosts forbid.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unictl.fleet.model import Fleet, Host, Service
from unictl.fleet.selection import host_labels, selected_hosts
from unictl.instances.desired.instance import hypervisor_of
from unictl.instances.observed.host_state import Survey, World

Key = tuple[str, tuple[tuple[str, str], ...], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Why a selected host cannot be used: ``dimension`` is a stable word (``drain``, ``silent``, ``require`` ...)."""

    dimension: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """``allowed``: hosts that may be used, sorted; ``barred``: hosts that are selected and may not."""

    key: Key
    allowed: tuple[str, ...]
    barred: Mapping[str, Bar]
    members: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """The grounds of a fleet's services; services that ask for the same share one, found once."""

    fleet: Fleet
    world: World
    known: dict[Key, Ground] = field(default_factory=dict)
    named: dict[str, Ground] = field(default_factory=dict)

    def of(self, service: Service) -> Ground:
        """The ground of a service; ValueError where its selector cannot be read."""
        found = self.named.get(service.name)
        if found is None:
            found = self.named[service.name] = self._of(service)
        return found

    def _of(self, service: Service) -> Ground:
        placement = service.placement
        key = (placement.hosts, tuple(sorted(placement.require.items())), hypervisor_of(service))
        if key not in self.known:
            self.known[key] = self._find(key)
        return self.known[key]

    def _find(self, key: Key) -> Ground:
        selector, require, hypervisor = key
        found = {
            host.name: _bar(host, self.world, dict(require), hypervisor)
            for host in selected_hosts(selector, self.fleet.hosts.values())
        }
        allowed = tuple(name for name, bar in found.items() if bar is None)
        barred = {name: bar for name, bar in found.items() if bar is not None}
        return Ground(key=key, allowed=allowed, barred=barred, members=frozenset(allowed))


def everyone_answered(fleet: Fleet, world: World) -> bool:
    """Whether what no host shows is absent: all hosts answered, or are declared lost."""
    return all(host.lost or isinstance(world.get(name), Survey) for name, host in fleet.hosts.items())


def _bar(host: Host, world: World, require: Mapping[str, str], hypervisor: str) -> Bar | None:
    said = world.get(host.name)
    labels = host_labels(host)
    missing = [f"{key}={value}" for key, value in sorted(require.items()) if labels.get(key) != value]
    if missing:
        return Bar(dimension="require", text=f"has not the label {', '.join(missing)}")
    if host.lost:
        return Bar(dimension="lost", text="is declared lost")
    if not isinstance(said, Survey):
        return Bar(dimension="silent", text="does not answer")
    if host.drain:
        return Bar(dimension="drain", text="is being drained")
    return _hypervisor_bar(host, said, hypervisor)


def _hypervisor_bar(host: Host, said: Survey, hypervisor: str) -> Bar | None:
    if hypervisor not in said.hypervisors:
        remedy = next((f" ({lack.hint})" for lack in said.lacks if lack.code == f"no-{hypervisor}" and lack.hint), "")
        return Bar(dimension="hypervisor", text=f"has no {hypervisor}{remedy}")
    if host.hypervisors and hypervisor not in host.hypervisors:
        return Bar(dimension="hypervisor", text=f"allows no {hypervisor} (hosts.{host.name}.hypervisors)")
    return None
