"""The scope of a plan: the whole fleet, or what `-target` and `-exclude` select of it. Pure.

A selector, service or volume that does not exist raises ValueError: a typing error would otherwise select nothing,
or everything.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from unictl.fleet.model import Fleet
from unictl.fleet.names import closest, instance_name, listed
from unictl.fleet.selection import Kind, Selection, Term, parse
from unictl.instances.desired.instance import Wished
from unictl.instances.observed.host_state import LiveInstance
from unictl.instances.placement.place import place
from unictl.plan.context.context import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Who is planned. ``needed``: services that a target needs, of which only what does not exist is created.

    ``placed``: where what does not exist yet goes when all of the fleet is placed; only where hosts are selected by.
    """

    situation: Situation
    target: Selection
    exclude: Selection
    needed: frozenset[str]
    placed: Mapping[str, str]

    @property
    def whole(self) -> bool:
        """Whether the plan is about everything."""
        return not (self.target.terms or self.exclude.terms)

    @property
    def words(self) -> str:
        """What the plan is about, for people; empty when everything."""
        parts = [f"only {self.target}"] if self.target.terms else []
        if self.needed:
            parts.append(f"what it needs and does not exist yet ({listed(self.needed)})")
        return ", ".join([" and ".join(parts)] * bool(parts) + [f"without {self.exclude}"] * bool(self.exclude.terms))

    def wished(self, wished: Wished) -> bool:
        """Whether a wished instance is planned."""
        if self.whole:
            return True
        lives = self.situation.lives.get(wished.name, ())
        labels = self.situation.service(wished).labels
        hosts = {live.host for live in lives} or {self.placed.get(wished.name, "")}
        if any(self._in(wished.service, wished.ordinal, host, labels) for host in hosts):
            return True
        return (
            wished.service in self.needed
            and not lives
            and not any(self._out(wished.service, wished.ordinal, host, labels) for host in hosts)
        )

    def live(self, live: LiveInstance) -> bool:
        """Whether a live instance that nobody wishes is planned."""
        service = self.situation.fleet.services.get(live.service)
        return self.whole or self._in(live.service, live.ordinal, live.host, service.labels if service else {})

    def forced(self, wished: Wished) -> bool:
        """Whether ``-replace`` names it, or its service."""
        return bool({wished.name, wished.service} & set(self.situation.options.replace))

    def _in(self, service: str, ordinal: int, host: str, labels: Mapping[str, str]) -> bool:
        selected = self.target.instance(service, ordinal, host=host, labels=labels)
        return selected and not self._out(service, ordinal, host, labels)

    def _out(self, service: str, ordinal: int, host: str, labels: Mapping[str, str]) -> bool:
        if not self.exclude.terms:
            return False
        return self.exclude.instance(service, ordinal, host=host, labels=labels)


def scope(situation: Situation) -> Scope:
    """The scope that the options ask for; ValueError with a sentence where they name what is not there."""
    target, exclude = parse(situation.options.target), parse(situation.options.exclude)
    selected(situation, "target", target)
    selected(situation, "exclude", exclude)
    requested(situation)
    absent = {each.service for each in situation.wished if each.name not in situation.lives}
    needed = _needed(situation.fleet, target) & absent if target.terms else frozenset()
    by_host = any(term.kind is Kind.HOST for term in (*target.terms, *exclude.terms))
    placed = _placed(situation) if by_host and not situation.options.destroy else {}
    return Scope(situation=situation, target=target, exclude=exclude, needed=needed, placed=placed)


def _placed(s: Situation) -> Mapping[str, str]:
    hosts = place(s.fleet, s.wished, s.world, replacing=s.options.replace, rebalance=s.options.rebalance).hosts
    return {name: host for name, host in hosts.items() if name not in s.lives}


def _needed(fleet: Fleet, target: Selection) -> frozenset[str]:
    """The services that those selected need, and what these need."""
    asked = {
        name
        for name, service in fleet.services.items()
        if any(target.instance(name, n, labels=service.labels) for n in range(service.replicas))
    }
    found: set[str] = set()
    ahead = list(asked)
    while ahead:
        for need in fleet.services[ahead.pop()].needs:
            if need in fleet.services and need not in found | asked:
                found.add(need)
                ahead.append(need)
    return frozenset(found)


Row = tuple[str, int, str]
"""Service, ordinal and host; a host alone where who lives there is declared and has its row."""


def selected(s: Situation, option: str, selection: Selection) -> None:
    """Every part of a selector selects something declared or live; ValueError where one does not."""
    for term in selection.terms:
        if not _selects(s, replace(term, left_out=False)):
            near = _near(term.pattern, _known(s, term.kind))
            raise ValueError(f"-{option}: {str(term).removeprefix('!')!r} selects nothing{near}")


def requested(s: Situation) -> None:
    """What ``-replace`` and ``-allow-destroy volume:`` name is there; ValueError where it is not."""
    known = {name for w in s.wished for name in (w.name, w.service)}
    if unknown := sorted(set(s.options.replace) - known):
        raise ValueError(f"-replace: the fleet has no {unknown[0]!r}{_near(unknown[0], known)}")
    # A host that does not answer may have it: then it is told in the plan.
    volumes = volume_names(s)
    if (absent := sorted(set(s.options.allow_volumes) - volumes - set(s.options.deleted))) and not s.silent:
        raise ValueError(f"-allow-destroy: no host has a volume {absent[0]!r}{_near(absent[0], volumes)}")


def volume_names(s: Situation) -> set[str]:
    """Every volume that a host shows or the fleet declares, also as its replicas have it."""
    return {*s.volumes, *s.fleet.volumes, *(name for each in s.wished for name in each.volumes.values())}


def _selects(s: Situation, term: Term) -> bool:
    one = Selection(terms=(term,))
    if any(one.service(name, service.labels) for name, service in s.fleet.services.items()):
        return True
    if term.kind is Kind.HOST and any(one.host(name) for name in s.fleet.hosts):
        return True
    return any(one.instance(name, n, host=host) for name, n, host in _rows(s))


def _rows(s: Situation) -> Iterator[Row]:
    """Whoever is declared, and whoever lives and is not declared any more."""
    wished = {each.name for each in s.wished}
    for each in s.wished:
        yield each.service, each.ordinal, ""
    for name, lives in s.lives.items():
        for live in lives:
            yield ("", -1, live.host) if name in wished else (live.service, live.ordinal, live.host)


def _known(s: Situation, kind: Kind) -> set[str]:
    if kind is Kind.HOST:
        return set(s.fleet.hosts)
    if kind is Kind.LABEL:
        return {label for service in s.fleet.services.values() for label in service.labels}
    rows = [row for row in _rows(s) if row[0]]
    return {*s.fleet.services, *(name for name, *_ in rows), *(instance_name(name, n) for name, n, _ in rows)}


def _near(word: str, known: Iterable[str]) -> str:
    names = set(known)
    if near := closest(word, names):
        return f", did you mean {near}?"
    return f": there {'are' if len(names) > 1 else 'is'} {listed(names)}" if names else ""
