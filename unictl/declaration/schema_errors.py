"""Rewords errors of JSON Schema for people; the texts of the library itself are never shown. Uses jsonschema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from unictl.declaration.formats import invalid_reason
from unictl.declaration.json_schema import SchemaNode
from unictl.declaration.scalars import Scalar
from unictl.declaration.source_tree import INVALID, find_spot
from unictl.declaration.suggestions import suggest_key
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.names import closest_match, join_names, quote_key

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_TYPE_NAMES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
}
_FORMAT_NAMES = {
    "memory": "an amount of memory such as 64MiB",
    "reserve": "an amount of memory such as 2GiB or a percentage such as 10%",
    "duration": "a duration such as 2s",
    "delay": "a duration such as 2s",
    "share": "a whole number or a percentage such as 20%",
    "port": "a port such as 8080 or 53/udp",
    "port-name": "the name of a port",
    "name": "a name",
}
_PUBLICATION_KEYS = ("port", "to", "host", "sni", "tls")
_BOOLEAN_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaIssue:
    """One thing wrong in an entry; paths count from the entry.

    ``invalidates``: what nothing can be said about any more.
    """

    path: DocumentPath
    code: str
    summary: str
    hint: str = ""
    at_key: bool = False
    invalidates: tuple[DocumentPath, ...] = ()


def describe_errors(
    errors: Iterable[ValidationError], entry: Any, entry_kind: str, owners_by_key: Mapping[str, str]
) -> tuple[SchemaIssue, ...]:
    """What is behind ``errors``, each told once; ``owners_by_key``: key -> the maps that do have it, in words."""
    issues_by_place: dict[tuple[DocumentPath, str], SchemaIssue] = {}
    for error in errors:
        for issue in _describe_error(error, entry, entry_kind, owners_by_key):
            if issue.summary:
                issues_by_place.setdefault((issue.path, issue.code), issue)
    invalid_paths = {
        path for issue in issues_by_place.values() if issue.code != "missing-key" for path in issue.invalidates
    }
    return tuple(issue for issue in issues_by_place.values() if not _is_consequence(issue, invalid_paths))


def _is_consequence(issue: SchemaIssue, invalid_paths: set[DocumentPath]) -> bool:
    """Whether ``issue`` is a mere consequence of another: below something wrong, or missing since it was misspelled."""
    is_below_invalid = any(issue.path[:length] in invalid_paths for length in range(len(issue.path)))
    return is_below_invalid or (issue.code == "missing-key" and issue.path in invalid_paths)


def _describe_error(
    error: ValidationError, entry: Any, entry_kind: str, owners_by_key: Mapping[str, str]
) -> Iterator[SchemaIssue]:
    path: DocumentPath = tuple(error.absolute_path)
    value = error.instance
    members = value if isinstance(value, dict) else {}
    schema = cast(SchemaNode, error.schema) if isinstance(error.schema, Mapping) else SchemaNode()
    if "propertyNames" in error.schema_path:
        yield _bad_key_issue(path, str(value), error.message)
        return
    if value is INVALID or (value is None and not (path and isinstance(path[-1], int))):
        return  # Told already; or null, which takes away what a template has set.
    match error.validator:
        case "additionalProperties":
            for key in members:
                if key not in schema["properties"]:
                    yield _unknown_key_issue(
                        (*path, key), value, schema, _container_name(path, entry_kind), owners_by_key
                    )
        case "required":
            for key in schema["required"]:
                if key not in members:
                    summary = f"{_container_noun(path, entry_kind)} needs `{key}`"
                    hint = str(schema.get("x-hint", ""))
                    yield SchemaIssue(
                        path=(*path, key), code="missing-key", summary=summary, hint=_as_sentence(hint), at_key=True
                    )
        case "type":
            yield _wrong_type_issue(path, value, schema, _written_text(entry, path), entry_kind)
        case "enum":
            yield _wrong_choice_issue(path, value, schema["enum"])
        case _:
            yield _wrong_value_issue(path, value, error, _written_text(entry, path))


def _written_text(entry: Any, path: DocumentPath) -> str | None:
    location = find_spot(entry, path) if path else None
    return location.written if location else None


def last_key(path: DocumentPath) -> str:
    """The key a path is about: its last that is no index."""
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _key_prefix(path: DocumentPath) -> str:
    key = last_key(path)
    return f"{quote_key(key)}: " if key else ""


def _container_name(path: DocumentPath, entry_kind: str) -> str:
    """What the map at ``path`` of an entry is, as ``suggestions`` calls it."""
    key = last_key(path)
    return {"": entry_kind, "health": "check", "publish": "publication"}.get(key, quote_key(key))


def _container_noun(path: DocumentPath, entry_kind: str) -> str:
    container = _container_name(path, entry_kind)
    if container.startswith("`"):
        return container
    return f"{'an' if container[:1] in 'aeiou' else 'a'} {container}" if container else "a fleet file"


def _bad_key_issue(path: DocumentPath, key: str, message: str) -> SchemaIssue:
    if last_key(path) == "publish" and key in _PUBLICATION_KEYS:
        hint = "Write [{port: 80, to: http}], or in short {80: http}."
        return _issue_at(path, "wrong-type", "`publish`: a publication of several keys stands in a list", hint)
    return SchemaIssue(path=(*path, key), code="bad-name", summary=message, at_key=True, invalidates=((*path, key),))


def _unknown_key_issue(
    path: DocumentPath, value: Any, schema: Any, entry_kind: str, owners_by_key: Mapping[str, str]
) -> SchemaIssue:
    key, parent = str(path[-1]), path[:-1]
    valid_properties = schema["properties"]
    suggestion = suggest_key(entry_kind, key, valid_properties)
    if suggestion:
        hint = f"Did you mean `{suggestion}`?{_shape_hint(value[key], valid_properties[suggestion])}"
    elif key in owners_by_key:
        hint = f"It is a key of {owners_by_key[key]}; look at the indentation."
    else:
        hint = (
            f"Its keys: {join_names((f'`{name}`' for name in valid_properties), limit=12)}."
            if len(valid_properties) <= 12
            else ""
        )
    if key.startswith("x-"):
        hint = "There are no keys of one's own; what services have in common is a template."
    invalid_paths = (path, (*parent, suggestion)) if suggestion and suggestion not in value else (path,)
    container = entry_kind if entry_kind.startswith("`") else _container_noun((), entry_kind)
    summary = f"{quote_key(key)} is no key of {container}"
    return SchemaIssue(
        path=path, code="unknown-key", summary=summary, hint=hint, at_key=True, invalidates=invalid_paths
    )


def _shape_hint(value: Any, schema: Any) -> str:
    """How the key that was meant is written, where what stands under the wrong key would not do."""
    if schema is True or value is INVALID:
        return ""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = ("object" in types and isinstance(value, dict)) or ("array" in types and isinstance(value, list))
    fits = fits or (not isinstance(value, dict | list) and not {*types} <= {"object", "array"})
    return "" if fits else f" {_as_sentence(str(schema.get('x-hint', '')))}".rstrip()


def _wrong_type_issue(path: DocumentPath, value: Any, schema: Any, written: str | None, entry_kind: str) -> SchemaIssue:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = schema.get("x-kind", "")
    is_plain_number = isinstance(value, int | float) and written is not None
    if is_plain_number and "string" in types:
        complaint = invalid_reason(kind, str(written)) if kind else ""
        if complaint:
            return _issue_at(path, "wrong-value", f"{_key_prefix(path)}{complaint}")
        summary = f"{_key_prefix(path)}{_describe_value(value, written)} stands where a text is wanted"
        return _issue_at(path, "wrong-type", summary, f'Write it in quotes: "{written}".')
    expected = _FORMAT_NAMES.get(kind, "") if "object" not in types and "array" not in types else ""
    expected = expected or _join_alternatives(
        [_TYPE_NAMES[name] for name in types if not (name == "integer" and "number" in types)]
    )
    shown = _describe_value(value, written)
    summary = (
        f"{_key_prefix(path)}{expected} is wanted, not {shown}"
        if path
        else f"{_container_noun(path, entry_kind)} is {expected}, not {shown}"
    )
    return _issue_at(path, "wrong-type", summary, _type_hint(value, types, schema))


def _join_alternatives(types: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(types[:-1]), types[-1])))


def _type_hint(value: Any, types: list[str], schema: Any) -> str:
    if "boolean" in types and isinstance(value, str) and value.lower() in _BOOLEAN_WORDS:
        return f"Write {_BOOLEAN_WORDS[value.lower()]}."
    if isinstance(value, str) and {"integer", "number"} & {*types} and value.strip().isdecimal():
        return f"Write it without quotes: {value.strip()}."
    if isinstance(value, str) and types == ["array"] and "\n" not in value and len(value) < 40:
        item = invalid_reason("name", value) and f'"{value}"'
        return f"Write it as a list: [{item or value}]."
    return _as_sentence(str(schema.get("x-hint", "")))


def _wrong_choice_issue(path: DocumentPath, value: Any, choices: list[Scalar]) -> SchemaIssue:
    names = [str(choice) for choice in choices]
    suggestion = closest_match(value, names) if isinstance(value, str) else ""
    hint = f"Did you mean {suggestion}?" if suggestion else f"One of {join_names(names, limit=12)}."
    return _issue_at(
        path,
        "wrong-value",
        f"{_key_prefix(path)}{_describe_value(value).removeprefix('the text ')} is not one of its values",
        hint,
    )


def _wrong_value_issue(path: DocumentPath, value: Any, error: ValidationError, written: str | None) -> SchemaIssue:
    limit = error.validator_value
    match error.validator:
        case "minimum":
            complaint = f"{_describe_value(value, written)} is too small: {limit} is the least"
        case "maximum":
            complaint = f"{_describe_value(value, written)} is too large: {limit} is the most"
        case "uniqueItems":
            duplicate = next((item for index, item in enumerate(value) if item in value[:index]), "")
            if duplicate is INVALID:
                return _issue_at(path, "wrong-value", "")
            complaint = f"{duplicate!r} stands twice in the list"
        case "minItems":
            complaint = "the list is empty"
        case _:
            complaint = error.message  # Of our own keyword, x-kind: a sentence.
    hint = "" if error.validator != "minItems" else _as_sentence(str(error.schema.get("x-hint", "")))  # type: ignore[union-attr]
    return _issue_at(path, "wrong-value", f"{_key_prefix(path)}{complaint}", hint)


def _issue_at(path: DocumentPath, code: str, summary: str, hint: str = "") -> SchemaIssue:
    return SchemaIssue(path=path, code=code, summary=summary, hint=hint, invalidates=(path,))


def _describe_value(value: Any, written: str | None = None) -> str:
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {written or value}"
    return f"the text {value if len(value) < 60 else value[:57] + '...'!r}"


def _as_sentence(hint: str) -> str:
    return f"{hint[:1].upper()}{hint[1:]}." if hint else ""
