"""Merging: the environment into the fleet, then ``defaults`` < templates < service.

Maps merge by key, all other values are replaced.

``null`` is a value like any other until everything is merged; then it removes its key.
"""

from dataclasses import dataclass, field

from unictl.declaration.source_tree import INVALID, List, Map, Spot
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.fleet.names import closest_match, describe_existing

REPLACED_SECTIONS = ("hosts", "networks", "policy")
"""What an environment replaces as a whole, so that staging never inherits production's hosts."""


def merge_maps(below: Map, above: Map) -> Map:
    """``below`` with ``above`` laid over it; every key knows where its value was written."""
    result = Map(below, below.spots)
    for key, value in above.items():
        lower_value = result.get(key)
        result[key] = (
            merge_maps(lower_value, value) if isinstance(lower_value, Map) and isinstance(value, Map) else value
        )
        result.spots[key] = above.spots[key]
    return result


def with_environment(tree: Map, environment: Map) -> Map:
    """The fleet as it is in one environment."""
    replaced = Map(
        {key: value for key, value in tree.items() if key not in REPLACED_SECTIONS or key not in environment},
        tree.spots,
    )
    result = merge_maps(replaced, environment)
    for key in environment:
        # The fleet's own place first, where a section is in both.
        result.spots[key] = (
            tree.spots.get(key, environment.spots[key]) if key not in REPLACED_SECTIONS else environment.spots[key]
        )
    return result


def without_nulls(tree: Map) -> Map:
    """``tree`` without the keys whose value is null; the same object where there are none."""
    members = {
        key: without_nulls(member) if isinstance(member, Map) else member
        for key, member in tree.items()
        if member is not None
    }
    if len(members) == len(tree) and all(tree[key] is member for key, member in members.items()):
        return tree
    return Map(members, tree.spots)


@dataclass(slots=True)
class Templates:
    """The templates of a fleet while services are made of them."""

    tree: Map
    keys: tuple[str, ...]
    complete: bool = True
    problems: list[Diagnostic] = field(default_factory=list)
    built: dict[str, Map] = field(default_factory=dict)
    in_progress: list[str] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)

    def build_services(self) -> Map:
        """The section ``build_services`` with ``defaults`` and templates merged into each."""
        services = self.tree.get("services")
        if not isinstance(services, Map):
            return Map()
        for name in self._template_section():
            self._build_template(name)  # Also those that nobody uses: what is wrong in them is told.
        defaults = self.tree.get("defaults")
        base = self._build_entry(defaults) if isinstance(defaults, Map) else Map()
        members = {
            name: merge_maps(base, self._build_entry(service)) if isinstance(service, Map) else service
            for name, service in services.items()
        }
        return Map(members, services.spots)

    def _template_section(self) -> Map:
        templates = self.tree.get("templates")
        return templates if isinstance(templates, Map) else Map()

    def _build_entry(self, entry: Map) -> Map:
        """``entry`` over the templates it extends, without the key that says so."""
        own_keys = Map({key: value for key, value in entry.items() if key != "extends"}, entry.spots)
        own_keys.spots.pop("extends", None)
        result = Map()
        for name, spot in _extended_templates(entry):
            if name not in self._template_section():
                self._report_unknown(name, spot)
            template = self._build_template(name, spot)
            result = merge_maps(result, template) if template is not None else self._with_unreadable_keys(result, spot)
        if entry.get("extends") is INVALID:
            result = self._with_unreadable_keys(result, entry.spots["extends"][1])
        return merge_maps(result, own_keys)

    def _build_template(self, name: str, spot: Spot | None = None) -> Map | None:
        entry = self._template_section().get(name)
        if name in self.in_progress:
            self._report_cycle(name, spot)
            return None
        if not isinstance(entry, Map):
            return None
        if name not in self.built:
            self.in_progress.append(name)
            self.built[name] = self._build_entry(entry)
            self.in_progress.pop()
        return self.built[name]

    def _with_unreadable_keys(self, entry: Map, spot: Spot) -> Map:
        """Any key might have come from a template that is not known: nothing can be said about those not written."""
        return Map(
            {**dict.fromkeys(self.keys, INVALID), **entry}, {**dict.fromkeys(self.keys, (spot, spot)), **entry.spots}
        )

    def _report_unknown(self, name: str, spot: Spot) -> None:
        template_names = self._template_section()
        if not self.complete or self.tree.get("templates") is INVALID:
            return  # It may stand where nothing could be read.
        suggestion = closest_match(name, template_names)
        hint = (
            f"Did you mean {suggestion}?"
            if suggestion
            else describe_existing(template_names) or "No template is declared."
        )
        summary = f"there is no template {name!r}"
        self.problems.append(Diagnostic(code="unknown-template", summary=summary, hint=hint, place=spot.place))

    def _report_cycle(self, name: str, spot: Spot | None) -> None:
        members = self.in_progress[self.in_progress.index(name) :]
        if not spot or self.reported & {*members}:
            return
        self.reported.update(members)
        summary = f"templates that extend each other in a circle: {' -> '.join([*members, name])}"
        hint = "Take one of the `extends` away."
        self.problems.append(Diagnostic(code="template-cycle", summary=summary, hint=hint, place=spot.place))


def _extended_templates(entry: Map) -> list[tuple[str, Spot]]:
    """The templates an entry names, left to right."""
    names = entry.get("extends")
    if isinstance(names, List):
        return [(name, spot) for name, spot in zip(names, names.spots, strict=True) if isinstance(name, str)]
    return [(names, entry.spots["extends"][1])] if isinstance(names, str) else []
