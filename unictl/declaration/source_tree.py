"""The plain tree of a document, and where everything in it was written. Values only.

A tree is dict, list and scalars. ``Map`` and ``List`` are dict and list that carry the side table of their own
members, so that places follow when trees are merged, and an alias costs nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from unictl.diagnostics.place import Path, Place

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class Spot(NamedTuple):
    """Where one scalar, key or container stands; ``end`` is None when it goes on in further lines.

    ``written`` is the text of a plain scalar (``012``), None for what stands in quotes and for containers.
    """

    file: str
    line: int
    column: int
    end: int | None
    written: str | None = None

    @property
    def place(self) -> Place:
        """The same as a Place."""
        return Place(file=self.file, line=self.line, column=self.column, end_column=self.end)


class Map(dict[str, Any]):
    """A map with the spots of its keys and values."""

    __slots__ = ("spots",)

    def __init__(self, items: Mapping[str, Any] | None = None, spots: Mapping[str, tuple[Spot, Spot]] | None = None):
        super().__init__(items or {})
        self.spots: dict[str, tuple[Spot, Spot]] = dict(spots or {})


class List(list[Any]):
    """A list with the spots of its members."""

    __slots__ = ("spots",)

    def __init__(self) -> None:
        super().__init__()
        self.spots: list[Spot] = []


class Spoiled:
    """The one value ``SPOILED``: here stood something wrong that was told already."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SPOILED"


SPOILED: Final = Spoiled()


class Loose(str):
    """A text that came whole from ``${var.X}``: where no text is wanted, ``value`` is what it looks like."""

    value: Any

    def __repr__(self) -> str:
        return f"Loose({super().__repr__()})"

    @classmethod
    def of(cls, text: str, value: Any) -> "Loose":
        """``3`` and 3."""
        loose = cls(text)
        loose.value = value
        return loose


def step(node: Any, part: str | int) -> tuple[Any, Spot, Spot] | None:
    """One step down: the member, the spot of its key (of itself in a list), its spot; None where it is missing."""
    if isinstance(node, Map):
        part = str(part)
        return (node[part], *node.spots[part]) if part in node else None
    if isinstance(node, List) and isinstance(part, int) and 0 <= part < len(node):
        return (node[part], node.spots[part], node.spots[part])
    return None


def spot(tree: Any, path: Path, *, key: bool = False) -> Spot | None:
    """Where ``path`` was written, or the nearest thing above it that was; None for the whole document.

    A container is shown by its key: the line of ``api:`` says more than the first line below it. A path that
    counts into what stands there in its short form (one check instead of a list) means that form itself.
    """
    found: Spot | None = None
    above: Spot | None = None
    for part in path:
        below = step(tree, part)
        if below is None and isinstance(part, int) and isinstance(tree, Map):
            below = _counted(tree, part)
            if below is None:
                continue
        if below is None:
            return above if isinstance(tree, Map | List) else found
        tree, key_spot, value_spot = below
        above = key_spot
        found = key_spot if key or (isinstance(tree, Map | List) and not _on_one_line(value_spot)) else value_spot
    return found


def _counted(tree: Map, index: int) -> tuple[Any, Spot, Spot] | None:
    """Entry ``index`` of a map whose keys are numbers (``publish: {80: http}``), in the order of the numbers."""
    names = sorted((name for name in tree if name.isdecimal() and tree[name] is not SPOILED), key=int)
    return step(tree, names[index]) if index < len(names) else None


def _on_one_line(where: Spot) -> bool:
    return where.end is not None


def paths(tree: Any, above: Path = ()) -> Iterator[Path]:
    """Every path in ``tree``, parents first."""
    members: Any = tree.items() if isinstance(tree, Map) else enumerate(tree) if isinstance(tree, List) else ()
    for part, value in members:
        yield (*above, part)
        yield from paths(value, (*above, part))


def changed(tree: Any, path: Path, value: Any, spots: tuple[Spot, Spot] | None = None) -> Any:
    """``tree`` with ``value`` at ``path``; what is shared stays as it was. ``spots`` are those of a new key."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(tree, List) and isinstance(part, int):
        copied = List()
        copied.extend(tree)
        copied.spots = tree.spots
        copied[part] = changed(tree[part], rest, value, spots)
        return copied
    if not isinstance(tree, Map):
        return tree
    key = str(part)
    result = Map(tree, tree.spots)
    result[key] = changed(tree.get(key), rest, value, spots)
    if spots and key not in result.spots:
        result.spots[key] = spots
    return result


class Places(Mapping[Path, Place]):
    """Path in a merged tree -> Place, made when asked: a fleet has many paths and few problems."""

    __slots__ = ("_tree",)

    def __init__(self, tree: Map):
        self._tree = tree

    def __getitem__(self, path: Path) -> Place:
        node: Any = self._tree
        for part in path:
            below = step(node, part)
            if below is None:
                raise KeyError(path)
            node = below[0]
        found = self.nearest(path)
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[Path]:
        return paths(self._tree)

    def __len__(self) -> int:
        return sum(1 for _ in paths(self._tree))

    def nearest(self, path: Path, *, key: bool = False) -> Place | None:
        """The place of ``path``, or of the nearest thing above it that was written."""
        found = spot(self._tree, path, key=key)
        return found.place if found else None


class Sources(Mapping[str, str]):
    """The texts that were read, by file, and single lines of them."""

    __slots__ = ("_lines", "_texts")

    def __init__(self, texts: Mapping[str, str]):
        self._texts = dict(texts)
        self._lines: dict[str, list[str]] = {}

    def __getitem__(self, file: str) -> str:
        return self._texts[file]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def line(self, place: Place | None) -> str:
        """The source line at ``place``; empty where there is none."""
        if place is None or place.file not in self._texts:
            return ""
        lines = self._lines.get(place.file)
        if lines is None:
            lines = self._lines[place.file] = _BREAK.split(self._texts[place.file])
        return lines[place.line - 1] if place.line <= len(lines) else ""
