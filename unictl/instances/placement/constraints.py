"""Ties an instance to a host because of what exists already: its volumes and its running generation. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unictl.fleet.model import Fleet, Order, Volume
from unictl.fleet.names import instance_name
from unictl.instances.desired.instance import Wished
from unictl.instances.observed.host_state import LiveInstance, Survey, World
from unictl.instances.placement.capacity import volume_homes
from unictl.instances.placement.feasibility import Ground, everyone_answered

_GONE_STATES = ("leaving", "damaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What ties an instance to ``host`` (empty: nothing).

    ``volume`` is the one that binds it: then there is no other choice. ``old`` is what lives of it on that host;
    ``same``: that needs no replacement as far as the fingerprint tells. ``missing`` are its volumes that no host
    shows, to be made where it goes. ``trouble`` says why it can stand nowhere; ``unknown`` that this cannot be known.
    """

    host: str = ""
    volume: str = ""
    old: LiveInstance | None = None
    same: bool = False
    missing: tuple[str, ...] = ()
    trouble: str = ""
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What live instances and volumes tie down, looked up by name. ``replacing``: replaced whatever they are."""

    fleet: Fleet
    lives: Mapping[str, tuple[LiveInstance, ...]]
    homes: Mapping[str, tuple[str, ...]]
    whole: bool
    replacing: frozenset[str]

    def of(self, wished: Wished, ground: Ground) -> Anchor:
        """The anchor of one instance whose service may stand on ``ground``."""
        lives = self._lives(wished)
        if len(lives) == 1 and not wished.volumes and lives[0].host in ground.members:
            # Nearly all of a fleet that is as it should be.
            return Anchor(host=lives[0].host, old=lives[0], same=self._same(wished, lives[0]))
        missing = tuple(name for name in wished.volumes.values() if name not in self.homes)
        if not self.whole and (not lives or missing):
            return Anchor(unknown=True, missing=missing)
        bound = self._bound(wished)
        if bound is not None:
            return self._there(wished, lives, missing, bound)
        allowed = [live for live in lives if live.host in ground.members]
        if not allowed:
            return Anchor(missing=missing)
        old = min(allowed, key=lambda live: self._rank(wished, live))
        return Anchor(host=old.host, old=old, same=self._same(wished, old), missing=missing)

    def _there(
        self, wished: Wished, lives: Iterable[LiveInstance], missing: tuple[str, ...], bound: Mapping[str, str]
    ) -> Anchor:
        hosts = sorted(set(bound.values()))
        volume, host = next(iter(bound.items()))
        if len(hosts) > 1:
            places = " and on ".join(hosts)
            return Anchor(volume=volume, trouble=f"its volumes are on {places}, and one host must have all")
        here = (live for live in lives if live.host == host)
        old = min(here, key=lambda live: self._rank(wished, live), default=None)
        same = old is not None and self._same(wished, old)
        return Anchor(host=host, volume=volume, old=old, same=same, missing=missing)

    def _bound(self, wished: Wished) -> Mapping[str, str] | None:
        """Volume -> the host that it binds to; None where none of them binds."""
        declared = self.fleet.services[wished.service].volumes
        homes = {
            name: self._home(name, self.fleet.volumes[declared[device]]) for device, name in wished.volumes.items()
        }
        return {name: home for name, home in sorted(homes.items()) if home} or None

    def _home(self, name: str, volume: Volume) -> str:
        """Where the data is; elsewhere only where it is pinned there and its loss is accepted."""
        there = self.homes.get(name, ())
        if not there or (volume.host and (volume.accept_loss or volume.host in there)):
            return volume.host
        return there[0]

    def _lives(self, wished: Wished) -> tuple[LiveInstance, ...]:
        own = self.lives.get(wished.name, ())
        if own:
            return own
        was = self.fleet.services[wished.service].was
        if not was or was in self.fleet.services:
            return ()
        return self.lives.get(instance_name(was, wished.ordinal), ())

    def _same(self, wished: Wished, live: LiveInstance) -> bool:
        fits = live.fingerprint == wished.fingerprint and live.name == wished.name
        forced = bool(self.replacing) and not self.replacing.isdisjoint((wished.name, wished.service))
        return fits and live.state not in _GONE_STATES and not forced

    def _rank(self, wished: Wished, live: LiveInstance) -> tuple[bool, bool, bool, int, str, str]:
        """Of several generations, the one to stay with first: wished and proven, then the newest."""
        return (
            live.state in _GONE_STATES,
            live.fingerprint != wished.fingerprint,
            not live.proven or live.state != "running",
            -live.launch,
            live.host,
            live.generation,
        )


def anchors(fleet: Fleet, world: World, replacing: frozenset[str]) -> Anchors:
    """The anchors of a fleet in a world."""
    lives: dict[str, list[LiveInstance]] = {}
    for said in world.values():
        for live in said.instances if isinstance(said, Survey) and said.host in fleet.hosts else ():
            lives.setdefault(live.name, []).append(live)
    return Anchors(
        fleet=fleet,
        lives={name: tuple(found) for name, found in lives.items()},
        homes=volume_homes(world),
        whole=everyone_answered(fleet, world),
        replacing=replacing,
    )


def stops_first(fleet: Fleet, wished: Wished, old: LiveInstance) -> bool:
    """Whether old and new are never there together: a shared volume, or the service asks for it."""
    shared = set(old.volumes) & set(wished.volumes.values())
    return bool(shared) or fleet.services[wished.service].update.order is Order.STOP_FIRST
