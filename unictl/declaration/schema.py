"""Validates the tree of one file against the JSON Schema: marks invalid values and reports the problems. Uses
jsonschema.

Entries (each host, each service ...) are checked one by one, and a valid entry is not checked again: a hundred
revisions of a fleet differ in few entries. Nothing is compiled at import time, and jsonschema is imported only
where an entry is not certainly valid: importing it takes longer than everything else for a valid fleet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from unictl.declaration import formats
from unictl.declaration.json_schema import Schema, SchemaNode
from unictl.declaration.quick_check import is_certainly_valid
from unictl.declaration.schema_errors import SchemaIssue, describe_errors
from unictl.declaration.source_tree import INVALID, LooseText, Map, Node, find_spot, with_document_value, with_value
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import DocumentPath

if TYPE_CHECKING:
    from jsonschema import ValidationError

_ANNOTATIONS = frozenset(("description", "default", "examples", "x-column", "title", "$defs", "$schema", "$id"))
_MAX_VALID_ENTRIES = 50_000
_checkers: dict[int, SchemaChecker] = {}


def _inline_references(node: Any, definitions: Mapping[str, Any], *, is_property_map: bool = False) -> Any:
    """``node`` with every ``$ref`` replaced by what it names and without what only people read."""
    if isinstance(node, list):
        return [_inline_references(item, definitions) for item in node]
    if not isinstance(node, Mapping):
        return node
    if is_property_map:
        return {name: _inline_references(member, definitions) for name, member in node.items()}
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    merged_node = {**definitions[name], **node} if name else node
    dropped_keys = {*_ANNOTATIONS, "$ref", *(("pattern",) if "x-kind" in merged_node else ())}
    return {
        key: _inline_references(member, definitions, is_property_map=key == "properties")
        for key, member in merged_node.items()
        if key not in dropped_keys
    }


class Validator(Protocol):
    """The check of jsonschema for one node."""

    def iter_errors(self, instance: object) -> Iterator[ValidationError]:
        """What is wrong in ``instance``."""


@dataclass(slots=True)
class SchemaChecker:
    """A schema made ready. ``valid_entries`` remembers entries in which nothing was wrong."""

    source: SchemaNode
    root: SchemaNode
    owners_by_key: Mapping[str, str]
    validators: dict[str, Validator] = field(default_factory=dict)
    valid_entries: set[tuple[str, str]] = field(default_factory=set)

    def validator(self, name: str, node: SchemaNode) -> Validator:
        """The compiled check of what stands under the top-level key ``name``."""
        if name not in self.validators:
            self.validators[name] = _make_validator(node)
        return self.validators[name]

    def check_entry(
        self, name: str, node: SchemaNode, value: Node, entry_kind: str
    ) -> tuple[Node, tuple[SchemaIssue, ...]]:
        """``value`` with variables turned into what is wanted, and what is wrong in it."""
        cache_key = (name, repr(value))
        if cache_key in self.valid_entries:
            return value, ()
        if is_certainly_valid(node, value):
            self.remember_valid(cache_key)
            return value, ()
        validator = self.validator(name, node)
        errors = list(validator.iter_errors(value))
        loose_texts = [
            (tuple(error.absolute_path), error.instance)
            for error in errors
            if error.validator in ("type", "enum") and isinstance(error.instance, LooseText)
        ]
        for path, loose_text in loose_texts:
            value = with_value(value, path, loose_text.value)
        if loose_texts:
            errors = list(validator.iter_errors(value))
        schema_issues = describe_errors(errors, value, entry_kind, self.owners_by_key)
        if not errors:
            self.remember_valid(cache_key)
        return value, schema_issues

    def remember_valid(self, cache_key: tuple[str, str]) -> None:
        """Nothing is wrong in this entry, whenever it is met again."""
        if len(self.valid_entries) < _MAX_VALID_ENTRIES:
            self.valid_entries.add(cache_key)


def _make_validator(node: SchemaNode) -> Validator:
    """The check of jsonschema for ``node``, which also knows ``x-kind``."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def check_format(_: Any, format_name: str, value: Any, __: Any) -> Any:
        complaint = formats.invalid_reason(format_name, value) if isinstance(value, str) else ""
        if complaint:
            yield ValidationError(complaint)

    validator_class = extend(Draft202012Validator, validators={"x-kind": check_format})  # type: ignore[no-untyped-call]
    return cast(Validator, validator_class(node))


def schema_checker(schema: SchemaNode) -> SchemaChecker:
    """The Checker of ``schema``, made once for each: the same object is expected every time."""
    cached = _checkers.get(id(schema))
    if cached is None or cached.source is not schema:
        _checkers.clear()
        root = _inline_references(schema, schema.get("$defs", {}))
        cached = _checkers[id(schema)] = SchemaChecker(source=schema, root=root, owners_by_key=_owners_by_key(root))
    return cached


def _owners_by_key(root: SchemaNode) -> dict[str, str]:
    """Key -> the maps that have it, in words: for keys at the wrong level."""
    owners: dict[str, list[str]] = {}

    def collect_keys(node: Schema, owner: str) -> None:
        if isinstance(node, bool):
            return
        for key, member in node.get("properties", {}).items():
            names = owners.setdefault(key, [])
            if owner and owner not in names:
                names.append(owner)
            collect_keys(member, f"`{key}`")

    for key, node in root["properties"].items():
        owners.setdefault(key, []).append("the fleet file itself")
        if key in ("environments", "templates", "defaults"):
            continue
        if isinstance(node, dict) and "x-entries" in node:
            collect_keys(_entry_schema(node), f"a {node['x-entries']}")
        else:
            collect_keys(node, f"`{key}`")
    return {key: " or ".join(names[:3]) for key, names in owners.items()}


def _entry_schema(section: SchemaNode) -> SchemaNode:
    """The schema of each entry of a section such as ``services``."""
    entry_schema = section["additionalProperties"]
    assert isinstance(entry_schema, dict), section
    return entry_schema


@dataclass(slots=True)
class _FileCheck:
    """One pass over one file."""

    checker: SchemaChecker
    tree: Map
    result: Map
    problems: list[Diagnostic] = field(default_factory=list)

    def check_level(self, tree: Map, node: SchemaNode, path: DocumentPath = ()) -> None:
        """The top level of a file, or one environment: a map of sections."""
        for key, value in tree.items():
            member_node = node["properties"].get(key)
            if not isinstance(member_node, dict):
                entry_kind = "environment" if path else ""
                shallow: SchemaNode = {**node, "properties": dict.fromkeys(node["properties"], True)}
                self.check_value(f"keys of {entry_kind}", shallow, Map({key: value}, tree.spots), path, entry_kind)
            elif value is None or value is INVALID:
                continue
            elif "x-entries" in member_node and isinstance(value, Map):
                self.check_entries(key, member_node, value, (*path, key))
            else:
                self.check_value(f"all of {key}", member_node, value, (*path, key), f"`{key}`")

    def check_entries(self, section: str, node: SchemaNode, value: Map, path: DocumentPath) -> None:
        """A section of named entries."""
        entry_kind, entry_node = node["x-entries"], _entry_schema(node)
        for name, entry in value.items():
            complaint = formats.invalid_reason(node["propertyNames"]["x-kind"], name)
            if complaint:
                self.report(
                    SchemaIssue(path=(name,), code="bad-name", summary=complaint, at_key=True, invalidates=()), path
                )
            if entry is None and len(path) == 1:
                self.report(_empty_entry(name, entry_kind), path)
            elif section == "environments" and isinstance(entry, Map):
                self.check_level(entry, entry_node, (*path, name))
            elif entry is not None and entry is not INVALID:
                self.check_value(section, entry_node, entry, (*path, name), entry_kind)

    def check_value(self, name: str, node: SchemaNode, value: Node, path: DocumentPath, entry_kind: str) -> None:
        new_value, schema_issues = self.checker.check_entry(name, node, value, entry_kind)
        if new_value is not value:
            self.result = with_document_value(self.result, path, new_value)
        for issue in schema_issues:
            self.report(issue, path)

    def report(self, issue: SchemaIssue, parent: DocumentPath) -> None:
        path = (*parent, *issue.path)
        location = find_spot(self.tree, path, key=issue.at_key)
        summary = issue.summary
        self.problems.append(
            Diagnostic(code=issue.code, summary=summary, hint=issue.hint, place=location.place if location else None)
        )
        for invalid_path in issue.invalidates:
            self.result = with_document_value(
                self.result, (*parent, *invalid_path), INVALID, (location, location) if location else None
            )


def _empty_entry(name: str, entry_kind: str) -> SchemaIssue:
    summary = f"the {entry_kind} {name!r} is empty"
    hint = (
        'Write "" for the empty text.'
        if entry_kind == "variable"
        else "Fill it, or take it away; {} is one without keys."
    )
    return SchemaIssue(
        path=(name,), code="empty-entry", summary=summary, hint=hint, at_key=True, invalidates=((name,),)
    )


def check_tree(tree: Map, schema: SchemaNode) -> tuple[Map, tuple[Diagnostic, ...]]:
    """``source_tree`` with SPOILED where something is wrong, and the problems; all of them at once."""
    prepared = schema_checker(schema)
    file_check = _FileCheck(prepared, tree, tree)
    file_check.check_level(tree, prepared.root)
    return file_check.result, tuple(file_check.problems)
