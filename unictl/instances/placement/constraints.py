"""Ties an instance to a host because of what exists already: its volumes and its running generation. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unictl.fleet.model import Fleet, Order, Volume
from unictl.fleet.names import InstanceName
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey
from unictl.instances.placement.capacity import volume_homes
from unictl.instances.placement.feasibility import Feasibility, all_hosts_answered

_UNUSABLE_STATES = ("leaving", "damaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What ties an instance to ``host`` (empty: nothing).

    ``volume`` is the one that binds it: then there is no other choice. ``existing`` is what lives of it on that host;
    ``is_current``: that needs no replacement as far as the fingerprint tells. ``missing`` are its volumes that no host
    shows, to be made where it goes. ``conflict`` says why it can stand nowhere; ``is_unknown`` that this cannot be
    known.
    """

    host: str = ""
    volume: str = ""
    existing: LiveInstance | None = None
    is_current: bool = False
    missing: tuple[str, ...] = ()
    conflict: str = ""
    is_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What live instances and volumes tie down, looked up by name. ``replacing``: replaced whatever they are."""

    fleet: Fleet
    live_by_name: Mapping[str, tuple[LiveInstance, ...]]
    hosts_by_volume: Mapping[str, tuple[str, ...]]
    is_complete: bool
    replacing: frozenset[str]

    def for_instance(self, desired: DesiredInstance, feasibility: Feasibility) -> Constraint:
        """The anchor of one instance whose service may stand on ``feasibility``."""
        live_instances = self._live_instances(desired)
        if len(live_instances) == 1 and not desired.volumes and live_instances[0].host in feasibility.members:
            # Nearly all of a fleet that is as it should be.
            return Constraint(
                host=live_instances[0].host,
                existing=live_instances[0],
                is_current=self._is_current(desired, live_instances[0]),
            )
        missing = tuple(name for name in desired.volumes.values() if name not in self.hosts_by_volume)
        if not self.is_complete and (not live_instances or missing):
            return Constraint(is_unknown=True, missing=missing)
        bound = self._binding_volumes(desired)
        if bound is not None:
            return self._bound_constraint(desired, live_instances, missing, bound)
        allowed = [live for live in live_instances if live.host in feasibility.members]
        if not allowed:
            return Constraint(missing=missing)
        old = min(allowed, key=lambda live: self._rank(desired, live))
        return Constraint(host=old.host, existing=old, is_current=self._is_current(desired, old), missing=missing)

    def _bound_constraint(
        self,
        desired: DesiredInstance,
        live_instances: Iterable[LiveInstance],
        missing: tuple[str, ...],
        bound: Mapping[str, str],
    ) -> Constraint:
        hosts = sorted(set(bound.values()))
        volume, host = next(iter(bound.items()))
        if len(hosts) > 1:
            places = " and on ".join(hosts)
            return Constraint(volume=volume, conflict=f"its volumes are on {places}, and one host must have all")
        candidates = (live for live in live_instances if live.host == host)
        old = min(candidates, key=lambda live: self._rank(desired, live), default=None)
        is_current = old is not None and self._is_current(desired, old)
        return Constraint(host=host, volume=volume, existing=old, is_current=is_current, missing=missing)

    def _binding_volumes(self, desired: DesiredInstance) -> Mapping[str, str] | None:
        """Volume -> the host that it binds to; None where none of them binds."""
        declared = self.fleet.services[desired.service].volumes
        homes = {
            name: self._volume_host(name, self.fleet.volumes[declared[device]])
            for device, name in desired.volumes.items()
        }
        return {name: home for name, home in sorted(homes.items()) if home} or None

    def _volume_host(self, name: str, volume: Volume) -> str:
        """Where the data is; elsewhere only where it is pinned there and its loss is accepted."""
        hosts = self.hosts_by_volume.get(name, ())
        if not hosts or (volume.host and (volume.accept_loss or volume.host in hosts)):
            return volume.host
        return hosts[0]

    def _live_instances(self, desired: DesiredInstance) -> tuple[LiveInstance, ...]:
        live_instances = self.live_by_name.get(desired.name, ())
        if live_instances:
            return live_instances
        former_name = self.fleet.services[desired.service].was
        if not former_name or former_name in self.fleet.services:
            return ()
        return self.live_by_name.get(InstanceName.of(former_name, desired.ordinal), ())

    def _is_current(self, desired: DesiredInstance, live: LiveInstance) -> bool:
        is_unchanged = live.fingerprint == desired.fingerprint and live.name == desired.name
        forced = bool(self.replacing) and not self.replacing.isdisjoint((desired.name, desired.service))
        return is_unchanged and live.state not in _UNUSABLE_STATES and not forced

    def _rank(self, desired: DesiredInstance, live: LiveInstance) -> tuple[bool, bool, bool, int, str, str]:
        """Of several generations, the one to stay with first: desired and proven, then the newest."""
        return (
            live.state in _UNUSABLE_STATES,
            live.fingerprint != desired.fingerprint,
            not live.proven or live.state != "running",
            -live.launch,
            live.host,
            live.generation,
        )


def build_constraints(fleet: Fleet, live_state: LiveState, replacing: frozenset[str]) -> Constraints:
    """The anchors of a fleet in a world."""
    live_by_name: dict[str, list[LiveInstance]] = {}
    for survey in live_state.values():
        for live in survey.instances if isinstance(survey, Survey) and survey.host in fleet.hosts else ():
            live_by_name.setdefault(live.name, []).append(live)
    return Constraints(
        fleet=fleet,
        live_by_name={name: tuple(instances) for name, instances in live_by_name.items()},
        hosts_by_volume=volume_homes(live_state),
        is_complete=all_hosts_answered(fleet, live_state),
        replacing=replacing,
    )


def must_stop_first(fleet: Fleet, desired: DesiredInstance, old: LiveInstance) -> bool:
    """Whether old and new are never there together: a shared volume, or the service asks for it."""
    shared = set(old.volumes) & set(desired.volumes.values())
    return bool(shared) or fleet.services[desired.service].update.order is Order.STOP_FIRST
