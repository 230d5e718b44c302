"""Reads one map of the merged tree by a table: key -> how its value becomes a field.

Reports what could not be read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unictl.declaration.source_tree import SPOILED, List, Map, spot
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Path
from unictl.fleet.quantities import Share, share

Convert = Callable[["Reader", Any, Path], Any]
Table = Mapping[str, Convert]


@dataclass(slots=True)
class Reader:
    """``spoiled`` are the paths of which nothing is known; ``problems`` what is missing or contradicts itself."""

    tree: Map
    spoiled: set[Path] = field(default_factory=set)
    problems: list[Diagnostic] = field(default_factory=list)

    def fields(self, value: Any, path: Path, table: Table) -> dict[str, Any]:
        """The fields that are written in ``value``; keys without a field were told by the schema."""
        found: dict[str, Any] = {}
        for key, member in value.items() if isinstance(value, Map) else ():
            below = (*path, key)
            if member is SPOILED:
                self.spoiled.add(below)
            elif key in table:
                try:
                    found[key] = table[key](self, member, below)
                except (ValueError, TypeError, OverflowError) as error:
                    # The schema lets nothing through that fails here; if it does, a problem is better than a traceback.
                    self.tell("wrong-value", below, f"`{key}`: {error}")
        if value is SPOILED:
            self.spoiled.add(path)
        return found

    def entries(self, value: Any, path: Path) -> list[tuple[str, Any, Path]]:
        """Name, value and path of each member of a section, by name."""
        if value is SPOILED:
            self.spoiled.add(path)
        return [(name, value[name], (*path, name)) for name in sorted(value)] if isinstance(value, Map) else []

    def items(self, value: Any, path: Path) -> list[tuple[Any, Path]]:
        """The items of a list, or the one thing that stands for a list, without what is spoiled."""
        if not isinstance(value, List):
            return [(value, (*path, 0))]
        found = [(item, (*path, index)) for index, item in enumerate(value)]
        self.spoiled.update(below for item, below in found if item is SPOILED)
        return [(item, below) for item, below in found if item is not SPOILED]

    def need(self, value: Any, path: Path, key: str, noun: str) -> None:
        """Tell that ``key`` is missing, if it is."""
        if isinstance(value, Map) and key not in value:
            self.tell("missing-key", (*path, key), f"{noun} needs `{key}`", about_key=True)

    def tell(self, code: str, path: Path, summary: str, hint: str = "", *, about_key: bool = False) -> None:
        """One more problem; nothing else is said about ``path``."""
        at = spot(self.tree, path, key=about_key)
        place = at.place if at else None
        self.problems.append(Diagnostic(code=code, summary=summary, hint=hint, place=place))
        self.spoiled.add(path)


def same(_: Reader, value: Any, __: Path) -> Any:
    """The value as it is."""
    return value


def whole(_: Reader, value: Any, __: Path) -> int:
    """JSON Schema takes 3.0 for a whole number."""
    return int(value)


def share_of(_: Reader, value: Any, __: Path) -> Share:
    """A count or a percentage."""
    return share(value if isinstance(value, str) else int(value))


def text(_: Reader, value: Any, __: Path) -> str:
    """A plain str, also where it came from a variable."""
    return str(value)


def by(parse: Callable[[str], Any]) -> Convert:
    """What ``parse`` makes of the text."""
    return lambda _, value, __: parse(str(value))


def texts(reader: Reader, value: Any, path: Path) -> tuple[str, ...]:
    """A list of texts, or one text that stands for it."""
    return tuple(str(item) for item, _ in reader.items(value, path))


def text_map(reader: Reader, value: Any, path: Path) -> dict[str, str]:
    """A map of texts, by key."""
    members = reader.fields(value, path, dict.fromkeys(value, text))
    return {key: members[key] for key in sorted(members)}
