"""The scope of a plan: the whole fleet, or what `-target` and `-exclude` select of it. Pure.

A selector, service or volume that does not exist raises ValueError: a typing error would otherwise select nothing,
or everything.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from unictl.fleet.model import Fleet
from unictl.fleet.names import InstanceName, closest_match, join_names
from unictl.fleet.selection import Selection, Term, TermKind, parse_selector
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.instances.placement.place import place
from unictl.plan.context.context import PlanContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Who is planned. ``needed_services``: services that a target needs, of which only what does not exist is created.

    ``placed_hosts``: where what does not exist yet goes when all of the fleet is placed; only where hosts are selected
    by.
    """

    context: PlanContext
    target: Selection
    exclude: Selection
    needed_services: frozenset[str]
    placed_hosts: Mapping[str, str]

    @property
    def is_whole(self) -> bool:
        """Whether the plan is about everything."""
        return not (self.target.terms or self.exclude.terms)

    @property
    def description(self) -> str:
        """What the plan is about, for people; empty when everything."""
        parts = [f"only {self.target}"] if self.target.terms else []
        if self.needed_services:
            parts.append(f"what it needs and does not exist yet ({join_names(self.needed_services)})")
        return ", ".join([" and ".join(parts)] * bool(parts) + [f"without {self.exclude}"] * bool(self.exclude.terms))

    def includes_desired(self, desired: DesiredInstance) -> bool:
        """Whether a desired instance is planned."""
        if self.is_whole:
            return True
        instances = self.context.live_by_name.get(desired.name, ())
        labels = self.context.service(desired).labels
        hosts = {live.host for live in instances} or {self.placed_hosts.get(desired.name, "")}
        if any(self._is_selected(desired.service, desired.ordinal, host, labels) for host in hosts):
            return True
        return (
            desired.service in self.needed_services
            and not instances
            and not any(self._is_excluded(desired.service, desired.ordinal, host, labels) for host in hosts)
        )

    def includes_live(self, live: LiveInstance) -> bool:
        """Whether a live instance that nobody wishes is planned."""
        service = self.context.fleet.services.get(live.service)
        return self.is_whole or self._is_selected(
            live.service, live.ordinal, live.host, service.labels if service else {}
        )

    def is_forced(self, desired: DesiredInstance) -> bool:
        """Whether ``-replace`` names it, or its service."""
        return bool({desired.name, desired.service} & set(self.context.options.replace))

    def _is_selected(self, service: str, ordinal: int, host: str, labels: Mapping[str, str]) -> bool:
        selected = self.target.matches_instance(service, ordinal, host=host, labels=labels)
        return selected and not self._is_excluded(service, ordinal, host, labels)

    def _is_excluded(self, service: str, ordinal: int, host: str, labels: Mapping[str, str]) -> bool:
        if not self.exclude.terms:
            return False
        return self.exclude.matches_instance(service, ordinal, host=host, labels=labels)


def resolve_scope(context: PlanContext) -> Scope:
    """The scope that the options ask for; ValueError with a sentence where they name what is not there."""
    target, exclude = parse_selector(context.options.target), parse_selector(context.options.exclude)
    check_selectors(context, "target", target)
    check_selectors(context, "exclude", exclude)
    check_names(context)
    missing_services = {desired.service for desired in context.desired if desired.name not in context.live_by_name}
    needed_services = _required_services(context.fleet, target) & missing_services if target.terms else frozenset()
    by_host = any(term.kind is TermKind.HOST for term in (*target.terms, *exclude.terms))
    placed_hosts = _place_missing(context) if by_host and not context.options.destroy else {}
    return Scope(
        context=context, target=target, exclude=exclude, needed_services=needed_services, placed_hosts=placed_hosts
    )


def _place_missing(context: PlanContext) -> Mapping[str, str]:
    hosts = place(
        context.fleet,
        context.desired,
        context.live_state,
        replacing=context.options.replace,
        rebalance=context.options.rebalance,
    ).hosts
    return {name: host for name, host in hosts.items() if name not in context.live_by_name}


def _required_services(fleet: Fleet, target: Selection) -> frozenset[str]:
    """The services that those selected need, and what these need."""
    selected_services = {
        name
        for name, service in fleet.services.items()
        if any(target.matches_instance(name, ordinal, labels=service.labels) for ordinal in range(service.replicas))
    }
    required: set[str] = set()
    pending = list(selected_services)
    while pending:
        for needed_service in fleet.services[pending.pop()].needs:
            if needed_service in fleet.services and needed_service not in required | selected_services:
                required.add(needed_service)
                pending.append(needed_service)
    return frozenset(required)


Selectable = tuple[str, int, str]
"""Service, ordinal and host; a host alone where who lives there is declared and has its row."""


def check_selectors(context: PlanContext, option: str, selection: Selection) -> None:
    """Every part of a selector selects something declared or live; ValueError where one does not."""
    for term in selection.terms:
        if not _selects_anything(context, replace(term, excluded=False)):
            suggestion = _suggestion(term.pattern, _names_of_kind(context, term.kind))
            raise ValueError(f"-{option}: {str(term).removeprefix('!')!r} selects nothing{suggestion}")


def check_names(context: PlanContext) -> None:
    """What ``-replace`` and ``-allow-destroy volume:`` name is there; ValueError where it is not."""
    valid_names = {name for desired in context.desired for name in (desired.name, desired.service)}
    if unknown := sorted(set(context.options.replace) - valid_names):
        raise ValueError(f"-replace: the fleet has no {unknown[0]!r}{_suggestion(unknown[0], valid_names)}")
    # A host that does not answer may have it: then it is told in the plan.
    existing_volumes = volume_names(context)
    if (
        missing := sorted(set(context.options.allow_volumes) - existing_volumes - set(context.options.deleted))
    ) and not context.unreachable:
        raise ValueError(
            f"-allow-destroy: no host has a volume {missing[0]!r}{_suggestion(missing[0], existing_volumes)}"
        )


def volume_names(context: PlanContext) -> set[str]:
    """Every volume that a host shows or the fleet declares, also as its replicas have it."""
    return {
        *context.volume_hosts,
        *context.fleet.volumes,
        *(name for desired in context.desired for name in desired.volumes.values()),
    }


def _selects_anything(context: PlanContext, term: Term) -> bool:
    selection = Selection(terms=(term,))
    if any(selection.matches_service(name, service.labels) for name, service in context.fleet.services.items()):
        return True
    if term.kind is TermKind.HOST and any(selection.matches_host(name) for name in context.fleet.hosts):
        return True
    return any(selection.matches_instance(name, ordinal, host=host) for name, ordinal, host in _selectables(context))


def _selectables(context: PlanContext) -> Iterator[Selectable]:
    """Whoever is declared, and whoever lives and is not declared any more."""
    desired_names = {desired.name for desired in context.desired}
    for desired in context.desired:
        yield desired.service, desired.ordinal, ""
    for name, instances in context.live_by_name.items():
        for live in instances:
            yield ("", -1, live.host) if name in desired_names else (live.service, live.ordinal, live.host)


def _names_of_kind(context: PlanContext, kind: TermKind) -> set[str]:
    if kind is TermKind.HOST:
        return set(context.fleet.hosts)
    if kind is TermKind.LABEL:
        return {label for service in context.fleet.services.values() for label in service.labels}
    selectables = [selectable for selectable in _selectables(context) if selectable[0]]
    return {
        *context.fleet.services,
        *(name for name, *_ in selectables),
        *(InstanceName.of(name, ordinal) for name, ordinal, _ in selectables),
    }


def _suggestion(word: str, candidates: Iterable[str]) -> str:
    names = set(candidates)
    if match := closest_match(word, names):
        return f", did you mean {match}?"
    return f": there {'are' if len(names) > 1 else 'is'} {join_names(names)}" if names else ""
