"""Validates the tree of one file against the JSON Schema: marks invalid values and reports the problems. Uses
jsonschema.

Entries (each host, each service ...) are checked one by one, and a valid entry is not checked again: a hundred
revisions of a fleet differ in few entries. Nothing is compiled at import time, and jsonschema is imported only
where an entry is not certainly valid: importing it takes longer than everything else for a valid fleet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unictl.declaration import formats
from unictl.declaration.quick_check import sound
from unictl.declaration.schema_errors import Issue, issues
from unictl.declaration.source_tree import SPOILED, Loose, Map, changed, spot
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Path

_NOTES = frozenset(("description", "default", "examples", "x-column", "title", "$defs", "$schema", "$id"))
_MOST_REMEMBERED = 50_000
_compiled: dict[int, "Checker"] = {}


def _resolved(node: Any, definitions: Mapping[str, Any], *, named: bool = False) -> Any:
    """``node`` with every ``$ref`` replaced by what it names and without what only people read."""
    if isinstance(node, list):
        return [_resolved(item, definitions) for item in node]
    if not isinstance(node, Mapping):
        return node
    if named:
        return {name: _resolved(below, definitions) for name, below in node.items()}
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    whole = {**definitions[name], **node} if name else node
    unwanted = {*_NOTES, "$ref", *(("pattern",) if "x-kind" in whole else ())}
    return {
        key: _resolved(below, definitions, named=key == "properties")
        for key, below in whole.items()
        if key not in unwanted
    }


@dataclass(slots=True)
class Checker:
    """A schema made ready. ``clean`` remembers entries in which nothing was wrong."""

    source: Mapping[str, Any]
    root: Mapping[str, Any]
    elsewhere: Mapping[str, str]
    validators: dict[str, Any] = field(default_factory=dict)
    clean: set[tuple[str, str]] = field(default_factory=set)

    def validator(self, name: str, node: Mapping[str, Any]) -> Any:
        """The compiled check of what stands under the top-level key ``name``."""
        if name not in self.validators:
            self.validators[name] = _validator(node)
        return self.validators[name]

    def entry(self, name: str, node: Mapping[str, Any], value: Any, what: str) -> tuple[Any, tuple[Issue, ...]]:
        """``value`` with variables turned into what is wanted, and what is wrong in it."""
        known = (name, repr(value))
        if known in self.clean:
            return value, ()
        if sound(node, value):
            self.remember(known)
            return value, ()
        validator = self.validator(name, node)
        errors = list(validator.iter_errors(value))
        loose = [error for error in errors if error.validator in ("type", "enum") and isinstance(error.instance, Loose)]
        for error in loose:
            value = changed(value, tuple(error.absolute_path), error.instance.value)
        if loose:
            errors = list(validator.iter_errors(value))
        found = issues(errors, value, what, self.elsewhere)
        if not errors:
            self.remember(known)
        return value, found

    def remember(self, known: tuple[str, str]) -> None:
        """Nothing is wrong in this entry, whenever it is met again."""
        if len(self.clean) < _MOST_REMEMBERED:
            self.clean.add(known)


def _validator(node: Mapping[str, Any]) -> Any:
    """The check of jsonschema for ``node``, which also knows ``x-kind``."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def kind(_: Any, wanted: str, value: Any, __: Any) -> Any:
        said = formats.why(wanted, value) if isinstance(value, str) else ""
        if said:
            yield ValidationError(said)

    make: Callable[..., Any] = extend(Draft202012Validator, validators={"x-kind": kind})  # type: ignore[no-untyped-call]
    return make(node)


def checker(schema: Mapping[str, Any]) -> Checker:
    """The Checker of ``schema``, made once for each: the same object is expected every time."""
    known = _compiled.get(id(schema))
    if known is None or known.source is not schema:
        _compiled.clear()
        root = _resolved(schema, schema.get("$defs", {}))
        known = _compiled[id(schema)] = Checker(source=schema, root=root, elsewhere=_elsewhere(root))
    return known


def _elsewhere(root: Mapping[str, Any]) -> dict[str, str]:
    """Key -> the maps that have it, in words: for keys at the wrong level."""
    owners: dict[str, list[str]] = {}

    def look(node: Any, owner: str) -> None:
        for key, below in node.get("properties", {}).items():
            names = owners.setdefault(key, [])
            if owner and owner not in names:
                names.append(owner)
            look(below, f"`{key}`")

    for key, node in root["properties"].items():
        owners.setdefault(key, []).append("the fleet file itself")
        if key not in ("environments", "templates", "defaults"):
            entry = "x-entries" in node
            look(node["additionalProperties"] if entry else node, f"a {node['x-entries']}" if entry else f"`{key}`")
    return {key: " or ".join(names[:3]) for key, names in owners.items()}


@dataclass(slots=True)
class _Check:
    """One pass over one file."""

    checker: Checker
    tree: Map
    result: Map
    problems: list[Diagnostic] = field(default_factory=list)

    def level(self, tree: Map, node: Mapping[str, Any], path: Path = ()) -> None:
        """The top level of a file, or one environment: a map of sections."""
        for key, value in tree.items():
            below = node["properties"].get(key)
            if below is None:
                what = "environment" if path else ""
                shallow = {**node, "properties": dict.fromkeys(node["properties"], True)}
                self.value(f"keys of {what}", shallow, Map({key: value}, tree.spots), path, what)
            elif value is None or value is SPOILED:
                continue
            elif "x-entries" in below and isinstance(value, Map):
                self.entries(key, below, value, (*path, key))
            else:
                self.value(f"all of {key}", below, value, (*path, key), f"`{key}`")

    def entries(self, section: str, node: Mapping[str, Any], value: Map, path: Path) -> None:
        """A section of named entries."""
        what, inner = node["x-entries"], node["additionalProperties"]
        for name, entry in value.items():
            said = formats.why(node["propertyNames"]["x-kind"], name)
            if said:
                self.tell(Issue(path=(name,), code="bad-name", summary=said, at_key=True, spoils=()), path)
            if entry is None and len(path) == 1:
                self.tell(_empty(name, what), path)
            elif section == "environments" and isinstance(entry, Map):
                self.level(entry, inner, (*path, name))
            elif entry is not None and entry is not SPOILED:
                self.value(section, inner, entry, (*path, name), what)

    def value(self, name: str, node: Mapping[str, Any], value: Any, path: Path, what: str) -> None:
        settled, found = self.checker.entry(name, node, value, what)
        if settled is not value:
            self.result = changed(self.result, path, settled)
        for issue in found:
            self.tell(issue, path)

    def tell(self, issue: Issue, above: Path) -> None:
        path = (*above, *issue.path)
        at = spot(self.tree, path, key=issue.at_key)
        summary = issue.summary
        self.problems.append(
            Diagnostic(code=issue.code, summary=summary, hint=issue.hint, place=at.place if at else None)
        )
        for spoiled in issue.spoils:
            self.result = changed(self.result, (*above, *spoiled), SPOILED, (at, at) if at else None)


def _empty(name: str, what: str) -> Issue:
    summary = f"the {what} {name!r} is empty"
    hint = 'Write "" for the empty text.' if what == "variable" else "Fill it, or take it away; {} is one without keys."
    return Issue(path=(name,), code="empty-entry", summary=summary, hint=hint, at_key=True, spoils=((name,),))


def check(tree: Map, schema: Mapping[str, Any]) -> tuple[Map, tuple[Diagnostic, ...]]:
    """``tree`` with SPOILED where something is wrong, and the problems; all of them at once."""
    ready = checker(schema)
    run = _Check(ready, tree, tree)
    run.level(tree, ready.root)
    return run.result, tuple(run.problems)
