"""Rewords errors of JSON Schema for people; the texts of the library itself are never shown. Uses jsonschema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unictl.declaration.formats import why
from unictl.declaration.source_tree import SPOILED, spot
from unictl.declaration.suggestions import meant
from unictl.diagnostics.place import Path
from unictl.fleet.names import closest, listed, marked

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
}
_KINDS = {
    "memory": "an amount of memory such as 64MiB",
    "reserve": "an amount of memory such as 2GiB or a percentage such as 10%",
    "duration": "a duration such as 2s",
    "delay": "a duration such as 2s",
    "share": "a whole number or a percentage such as 20%",
    "port": "a port such as 8080 or 53/udp",
    "port-name": "the name of a port",
    "name": "a name",
}
_PUBLICATION = ("port", "to", "host", "sni", "tls")
_TRUTHS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One thing wrong in an entry; paths count from the entry. ``spoils``: what nothing can be said about any more."""

    path: Path
    code: str
    summary: str
    hint: str = ""
    at_key: bool = False
    spoils: tuple[Path, ...] = ()


def issues(errors: Iterable[ValidationError], entry: Any, what: str, elsewhere: Mapping[str, str]) -> tuple[Issue, ...]:
    """What is behind ``errors``, each told once; ``elsewhere``: key -> the maps that do have it, in words."""
    found: dict[tuple[Path, str], Issue] = {}
    for error in errors:
        for issue in _issue(error, entry, what, elsewhere):
            if issue.summary:
                found.setdefault((issue.path, issue.code), issue)
    spoiled = {path for issue in found.values() if issue.code != "missing-key" for path in issue.spoils}
    return tuple(issue for issue in found.values() if not _follows(issue, spoiled))


def _follows(issue: Issue, spoiled: set[Path]) -> bool:
    """Whether ``issue`` is a mere consequence of another: below something wrong, or missing since it was misspelled."""
    above = any(issue.path[:length] in spoiled for length in range(len(issue.path)))
    return above or (issue.code == "missing-key" and issue.path in spoiled)


def _issue(error: ValidationError, entry: Any, what: str, elsewhere: Mapping[str, str]) -> Iterator[Issue]:
    path: Path = tuple(error.absolute_path)
    value: Any = error.instance
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    if "propertyNames" in error.schema_path:
        yield _bad_key(path, str(value), error.message)
        return
    if value is SPOILED or (value is None and not (path and isinstance(path[-1], int))):
        return  # Told already; or null, which takes away what a template has set.
    match error.validator:
        case "additionalProperties":
            for key in value:
                if key not in schema["properties"]:
                    yield _unknown_key((*path, key), value, schema, _container(path, what), elsewhere)
        case "required":
            for key in schema["required"]:
                if key not in value:
                    summary = f"{_noun(path, what)} needs `{key}`"
                    hint = str(schema.get("x-hint", ""))
                    yield Issue(
                        path=(*path, key), code="missing-key", summary=summary, hint=_sentence(hint), at_key=True
                    )
        case "type":
            yield _wrong_type(path, value, schema, _written(entry, path), what)
        case "enum":
            yield _wrong_choice(path, value, schema["enum"])
        case _:
            yield _wrong_value(path, value, error, _written(entry, path))


def _written(entry: Any, path: Path) -> str | None:
    found = spot(entry, path) if path else None
    return found.written if found else None


def key_of(path: Path) -> str:
    """The key a path is about: its last that is no index."""
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _subject(path: Path) -> str:
    key = key_of(path)
    return f"{marked(key)}: " if key else ""


def _container(path: Path, what: str) -> str:
    """What the map at ``path`` of an entry is, as ``guesses`` calls it."""
    key = key_of(path)
    return {"": what, "health": "check", "publish": "publication"}.get(key, marked(key))


def _noun(path: Path, what: str) -> str:
    container = _container(path, what)
    if container.startswith("`"):
        return container
    return f"{'an' if container[:1] in 'aeiou' else 'a'} {container}" if container else "a fleet file"


def _bad_key(path: Path, key: str, message: str) -> Issue:
    if key_of(path) == "publish" and key in _PUBLICATION:
        hint = "Write [{port: 80, to: http}], or in short {80: http}."
        return _issue_at(path, "wrong-type", "`publish`: a publication of several keys stands in a list", hint)
    return Issue(path=(*path, key), code="bad-name", summary=message, at_key=True, spoils=((*path, key),))


def _unknown_key(path: Path, value: Any, schema: Any, what: str, elsewhere: Mapping[str, str]) -> Issue:
    key, above = str(path[-1]), path[:-1]
    known = schema["properties"]
    guess = meant(what, key, known)
    if guess:
        hint = f"Did you mean `{guess}`?{_shape(value[key], known[guess])}"
    elif key in elsewhere:
        hint = f"It is a key of {elsewhere[key]}; look at the indentation."
    else:
        hint = f"Its keys: {listed((f'`{name}`' for name in known), most=12)}." if len(known) <= 12 else ""
    if key.startswith("x-"):
        hint = "There are no keys of one's own; what services have in common is a template."
    spoils = (path, (*above, guess)) if guess and guess not in value else (path,)
    container = what if what.startswith("`") else _noun((), what)
    summary = f"{marked(key)} is no key of {container}"
    return Issue(path=path, code="unknown-key", summary=summary, hint=hint, at_key=True, spoils=spoils)


def _shape(value: Any, schema: Any) -> str:
    """How the key that was meant is written, where what stands under the wrong key would not do."""
    if schema is True or value is SPOILED:
        return ""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = ("object" in types and isinstance(value, dict)) or ("array" in types and isinstance(value, list))
    fits = fits or (not isinstance(value, dict | list) and not {*types} <= {"object", "array"})
    return "" if fits else f" {_sentence(str(schema.get('x-hint', '')))}".rstrip()


def _wrong_type(path: Path, value: Any, schema: Any, written: str | None, what: str) -> Issue:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = schema.get("x-kind", "")
    plain = isinstance(value, int | float) and written is not None
    if plain and "string" in types:
        said = why(kind, str(written)) if kind else ""
        if said:
            return _issue_at(path, "wrong-value", f"{_subject(path)}{said}")
        summary = f"{_subject(path)}{_shown(value, written)} stands where a text is wanted"
        return _issue_at(path, "wrong-type", summary, f'Write it in quotes: "{written}".')
    wanted = _KINDS.get(kind, "") if "object" not in types and "array" not in types else ""
    wanted = wanted or _any_of([_TYPES[name] for name in types if not (name == "integer" and "number" in types)])
    shown = _shown(value, written)
    summary = (
        f"{_subject(path)}{wanted} is wanted, not {shown}" if path else f"{_noun(path, what)} is {wanted}, not {shown}"
    )
    return _issue_at(path, "wrong-type", summary, _type_hint(value, types, schema))


def _any_of(types: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(types[:-1]), types[-1])))


def _type_hint(value: Any, types: list[str], schema: Any) -> str:
    if "boolean" in types and isinstance(value, str) and value.lower() in _TRUTHS:
        return f"Write {_TRUTHS[value.lower()]}."
    if isinstance(value, str) and {"integer", "number"} & {*types} and value.strip().isdecimal():
        return f"Write it without quotes: {value.strip()}."
    if isinstance(value, str) and types == ["array"] and "\n" not in value and len(value) < 40:
        item = why("name", value) and f'"{value}"'
        return f"Write it as a list: [{item or value}]."
    return _sentence(str(schema.get("x-hint", "")))


def _wrong_choice(path: Path, value: Any, choices: list[str]) -> Issue:
    near = closest(value, choices) if isinstance(value, str) else ""
    hint = f"Did you mean {near}?" if near else f"One of {listed(choices, most=12)}."
    return _issue_at(
        path, "wrong-value", f"{_subject(path)}{_shown(value).removeprefix('the text ')} is not one of its values", hint
    )


def _wrong_value(path: Path, value: Any, error: ValidationError, written: str | None) -> Issue:
    limit = error.validator_value
    match error.validator:
        case "minimum":
            said = f"{_shown(value, written)} is too small: {limit} is the least"
        case "maximum":
            said = f"{_shown(value, written)} is too large: {limit} is the most"
        case "uniqueItems":
            twin = next((item for index, item in enumerate(value) if item in value[:index]), "")
            if twin is SPOILED:
                return _issue_at(path, "wrong-value", "")
            said = f"{twin!r} stands twice in the list"
        case "minItems":
            said = "the list is empty"
        case _:
            said = error.message  # Of our own keyword, x-kind: a sentence.
    hint = "" if error.validator != "minItems" else _sentence(str(error.schema.get("x-hint", "")))  # type: ignore[union-attr]
    return _issue_at(path, "wrong-value", f"{_subject(path)}{said}", hint)


def _issue_at(path: Path, code: str, summary: str, hint: str = "") -> Issue:
    return Issue(path=path, code=code, summary=summary, hint=hint, spoils=(path,))


def _shown(value: Any, written: str | None = None) -> str:
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {written or value}"
    return f"the text {value if len(value) < 60 else value[:57] + '...'!r}"


def _sentence(hint: str) -> str:
    return f"{hint[:1].upper()}{hint[1:]}." if hint else ""
