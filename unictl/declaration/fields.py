"""Reads one map of the merged tree by a table: key -> how its value becomes a field.

Reports what could not be read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unictl.declaration.source_tree import INVALID, List, Map, find_spot
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.quantities import Share, parse_share

Converter = Callable[["FieldReader", Any, DocumentPath], Any]
FieldTable = Mapping[str, Converter]


@dataclass(slots=True)
class FieldReader:
    """``invalid_paths`` are the paths of which nothing is known; ``problems`` what is missing or contradicts itself."""

    tree: Map
    invalid_paths: set[DocumentPath] = field(default_factory=set)
    problems: list[Diagnostic] = field(default_factory=list)

    def read_fields(self, value: Any, path: DocumentPath, table: FieldTable) -> dict[str, Any]:
        """The fields that are written in ``value``; keys without a field were told by the schema."""
        fields_by_key: dict[str, Any] = {}
        for key, member in value.items() if isinstance(value, Map) else ():
            member_path = (*path, key)
            if member is INVALID:
                self.invalid_paths.add(member_path)
            elif key in table:
                try:
                    fields_by_key[key] = table[key](self, member, member_path)
                except (ValueError, TypeError, OverflowError) as error:
                    # The schema lets nothing through that fails here; if it does, a problem is better than a traceback.
                    self.report("wrong-value", member_path, f"`{key}`: {error}")
        if value is INVALID:
            self.invalid_paths.add(path)
        return fields_by_key

    def entries(self, value: Any, path: DocumentPath) -> list[tuple[str, Any, DocumentPath]]:
        """Name, value and path of each member of a section, by name."""
        if value is INVALID:
            self.invalid_paths.add(path)
        return [(name, value[name], (*path, name)) for name in sorted(value)] if isinstance(value, Map) else []

    def items(self, value: Any, path: DocumentPath) -> list[tuple[Any, DocumentPath]]:
        """The items of a list, or the one thing that stands for a list, without what is spoiled."""
        if not isinstance(value, List):
            return [(value, (*path, 0))]
        members = [(item, (*path, index)) for index, item in enumerate(value)]
        self.invalid_paths.update(item_path for item, item_path in members if item is INVALID)
        return [(item, item_path) for item, item_path in members if item is not INVALID]

    def require(self, value: Any, path: DocumentPath, key: str, owner: str) -> None:
        """Tell that ``key`` is missing, if it is."""
        if isinstance(value, Map) and key not in value:
            self.report("missing-key", (*path, key), f"{owner} needs `{key}`", at_key=True)

    def report(self, code: str, path: DocumentPath, summary: str, hint: str = "", *, at_key: bool = False) -> None:
        """One more problem; nothing else is said about ``path``."""
        location = find_spot(self.tree, path, key=at_key)
        place = location.place if location else None
        self.problems.append(Diagnostic(code=code, summary=summary, hint=hint, place=place))
        self.invalid_paths.add(path)


def as_is(_: FieldReader, value: Any, __: DocumentPath) -> Any:
    """The value as it is."""
    return value


def as_whole_number(_: FieldReader, value: Any, __: DocumentPath) -> int:
    """JSON Schema takes 3.0 for a whole number."""
    return int(value)


def as_share(_: FieldReader, value: Any, __: DocumentPath) -> Share:
    """A count or a percentage."""
    return parse_share(value if isinstance(value, str) else int(value))


def as_text(_: FieldReader, value: Any, __: DocumentPath) -> str:
    """A plain str, also where it came from a variable."""
    return str(value)


def parsed_by(parse: Callable[[str], Any]) -> Converter:
    """What ``parse`` makes of the text."""
    return lambda _, value, __: parse(str(value))


def as_texts(reader: FieldReader, value: Any, path: DocumentPath) -> tuple[str, ...]:
    """A list of texts, or one text that stands for it."""
    return tuple(str(item) for item, _ in reader.items(value, path))


def as_text_map(reader: FieldReader, value: Any, path: DocumentPath) -> dict[str, str]:
    """A map of texts, by key."""
    members = reader.read_fields(value, path, dict.fromkeys(value, as_text))
    return {key: members[key] for key in sorted(members)}
