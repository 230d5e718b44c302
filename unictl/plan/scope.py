"""What a plan is about: all of the fleet, or what ``-target`` and ``-exclude`` leave of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from unictl.fleet.model import Fleet
from unictl.fleet.names import listed
from unictl.fleet.selection import Kind, Selection, parse
from unictl.instances.desired import Wished
from unictl.instances.live import LiveInstance
from unictl.instances.placement import place
from unictl.plan import named
from unictl.plan.situation import Situation


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
    named.selected(situation, "target", target)
    named.selected(situation, "exclude", exclude)
    named.requested(situation)
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
