"""Merging: the environment into the fleet, then ``defaults`` < templates < service.

Maps merge by key, all other values are replaced.

``null`` is a value like any other until everything is merged; then it removes its key.
"""

from dataclasses import dataclass, field
from typing import Any

from unictl.declaration.source_tree import SPOILED, List, Map, Spot
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.fleet.names import closest, there_are

WHOLE = ("hosts", "networks", "policy")
"""What an environment replaces as a whole, so that staging never inherits production's hosts."""


def merged(below: Map, above: Map) -> Map:
    """``below`` with ``above`` laid over it; every key knows where its value was written."""
    result = Map(below, below.spots)
    for key, value in above.items():
        before = result.get(key)
        result[key] = merged(before, value) if isinstance(before, Map) and isinstance(value, Map) else value
        result.spots[key] = above.spots[key]
    return result


def with_environment(tree: Map, environment: Map) -> Map:
    """The fleet as it is in one environment."""
    replaced = Map(
        {key: value for key, value in tree.items() if key not in WHOLE or key not in environment}, tree.spots
    )
    result = merged(replaced, environment)
    for key in environment:
        # The fleet's own place first, where a section is in both.
        result.spots[key] = tree.spots.get(key, environment.spots[key]) if key not in WHOLE else environment.spots[key]
    return result


def without_nulls(value: Any) -> Any:
    """``value`` without the keys whose value is null; the same object where there are none."""
    if not isinstance(value, Map):
        return value
    members = {key: without_nulls(below) for key, below in value.items() if below is not None}
    if len(members) == len(value) and all(value[key] is below for key, below in members.items()):
        return value
    return Map(members, value.spots)


@dataclass(slots=True)
class Templates:
    """The templates of a fleet while services are made of them."""

    tree: Map
    keys: tuple[str, ...]
    complete: bool = True
    problems: list[Diagnostic] = field(default_factory=list)
    done: dict[str, Map] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def services(self) -> Map:
        """The section ``services`` with ``defaults`` and templates merged into each."""
        services = self.tree.get("services")
        if not isinstance(services, Map):
            return Map()
        for name in self._section():
            self._template(name)  # Also those that nobody uses: what is wrong in them is told.
        defaults = self.tree.get("defaults")
        base = self._built(defaults) if isinstance(defaults, Map) else Map()
        members = {
            name: merged(base, self._built(service)) if isinstance(service, Map) else service
            for name, service in services.items()
        }
        return Map(members, services.spots)

    def _section(self) -> Map:
        templates = self.tree.get("templates")
        return templates if isinstance(templates, Map) else Map()

    def _built(self, entry: Map) -> Map:
        """``entry`` over the templates it extends, without the key that says so."""
        own = Map({key: value for key, value in entry.items() if key != "extends"}, entry.spots)
        own.spots.pop("extends", None)
        result = Map()
        for name, spot in _extended(entry):
            if name not in self._section():
                self._unknown(name, spot)
            below = self._template(name, spot)
            result = merged(result, below) if below is not None else self._spoiled(result, spot)
        if entry.get("extends") is SPOILED:
            result = self._spoiled(result, entry.spots["extends"][1])
        return merged(result, own)

    def _template(self, name: str, spot: Spot | None = None) -> Map | None:
        entry = self._section().get(name)
        if name in self.open:
            self._cycle(name, spot)
            return None
        if not isinstance(entry, Map):
            return None
        if name not in self.done:
            self.open.append(name)
            self.done[name] = self._built(entry)
            self.open.pop()
        return self.done[name]

    def _spoiled(self, entry: Map, spot: Spot) -> Map:
        """Any key might have come from a template that is not known: nothing can be said about those not written."""
        return Map(
            {**dict.fromkeys(self.keys, SPOILED), **entry}, {**dict.fromkeys(self.keys, (spot, spot)), **entry.spots}
        )

    def _unknown(self, name: str, spot: Spot) -> None:
        known = self._section()
        if not self.complete or self.tree.get("templates") is SPOILED:
            return  # It may stand where nothing could be read.
        near = closest(name, known)
        hint = f"Did you mean {near}?" if near else there_are(known) or "No template is declared."
        summary = f"there is no template {name!r}"
        self.problems.append(Diagnostic(code="unknown-template", summary=summary, hint=hint, place=spot.place))

    def _cycle(self, name: str, spot: Spot | None) -> None:
        members = self.open[self.open.index(name) :]
        if not spot or self.told & {*members}:
            return
        self.told.update(members)
        summary = f"templates that extend each other in a circle: {' -> '.join([*members, name])}"
        hint = "Take one of the `extends` away."
        self.problems.append(Diagnostic(code="template-cycle", summary=summary, hint=hint, place=spot.place))


def _extended(entry: Map) -> list[tuple[str, Spot]]:
    """The templates an entry names, left to right."""
    names: Any = entry.get("extends")
    if isinstance(names, List):
        return [(name, spot) for name, spot in zip(names, names.spots, strict=True) if isinstance(name, str)]
    return [(names, entry.spots["extends"][1])] if isinstance(names, str) else []
