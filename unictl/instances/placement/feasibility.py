"""Which hosts may run a service, and why the others may not. Pure.

Capacity does not matter here: only what the fleet file and the capabilities of the hosts forbid.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unictl.fleet.model import Fleet, Host, Service
from unictl.fleet.selection import host_labels, select_hosts
from unictl.hypervisors.drivers import DRIVERS
from unictl.instances.desired.instance import hypervisor_for
from unictl.instances.observed.host_state import LiveState, Survey

FeasibilityKey = tuple[str, tuple[tuple[str, str], ...], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostExclusion:
    """Why a selected host cannot be used: ``dimension`` is a stable word (``drain``, ``silent``, ``require`` ...)."""

    dimension: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """``allowed``: hosts that may be used, sorted; ``excluded``: hosts that are selected and may not."""

    key: FeasibilityKey
    allowed: tuple[str, ...]
    excluded: Mapping[str, HostExclusion]
    members: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibilities:
    """The grounds of a fleet's services; services that ask for the same share one, found once."""

    fleet: Fleet
    live_state: LiveState
    by_key: dict[FeasibilityKey, Feasibility] = field(default_factory=dict)
    by_service: dict[str, Feasibility] = field(default_factory=dict)

    def for_service(self, service: Service) -> Feasibility:
        """The ground of a service; ValueError where its selector cannot be read."""
        feasibility = self.by_service.get(service.name)
        if feasibility is None:
            feasibility = self.by_service[service.name] = self._for_placement(service)
        return feasibility

    def _for_placement(self, service: Service) -> Feasibility:
        placement = service.placement
        key = (placement.hosts, tuple(sorted(placement.require.items())), hypervisor_for(service))
        if key not in self.by_key:
            self.by_key[key] = self._compute(key)
        return self.by_key[key]

    def _compute(self, key: FeasibilityKey) -> Feasibility:
        selector, require, hypervisor = key
        exclusions = {
            host.name: _exclusion(host, self.live_state, dict(require), hypervisor)
            for host in select_hosts(selector, self.fleet.hosts.values())
        }
        allowed = tuple(name for name, exclusion in exclusions.items() if exclusion is None)
        excluded = {name: exclusion for name, exclusion in exclusions.items() if exclusion is not None}
        return Feasibility(key=key, allowed=allowed, excluded=excluded, members=frozenset(allowed))


def all_hosts_answered(fleet: Fleet, live_state: LiveState) -> bool:
    """Whether what no host shows is absent: all hosts answered, or are declared lost."""
    return all(host.lost or isinstance(live_state.get(name), Survey) for name, host in fleet.hosts.items())


def _exclusion(host: Host, live_state: LiveState, require: Mapping[str, str], hypervisor: str) -> HostExclusion | None:
    survey = live_state.get(host.name)
    labels = host_labels(host)
    missing = [f"{key}={value}" for key, value in sorted(require.items()) if labels.get(key) != value]
    if missing:
        return HostExclusion(dimension="require", text=f"has not the label {', '.join(missing)}")
    if host.lost:
        return HostExclusion(dimension="lost", text="is declared lost")
    if not isinstance(survey, Survey):
        return HostExclusion(dimension="silent", text="does not answer")
    if host.drain:
        return HostExclusion(dimension="drain", text="is being drained")
    return _hypervisor_exclusion(host, survey, hypervisor)


def _hypervisor_exclusion(host: Host, survey: Survey, hypervisor: str) -> HostExclusion | None:
    if hypervisor not in survey.hypervisors:
        driver = DRIVERS.get(hypervisor)
        missing_code = driver.missing_code if driver else ""
        hints = [lack.hint for lack in survey.missing_capabilities if lack.code == missing_code and lack.hint]
        remedy = f" ({hints[0]})" if hints else ""
        return HostExclusion(dimension="hypervisor", text=f"has no {hypervisor}{remedy}")
    if host.hypervisors and hypervisor not in host.hypervisors:
        return HostExclusion(dimension="hypervisor", text=f"allows no {hypervisor} (hosts.{host.name}.hypervisors)")
    return None
