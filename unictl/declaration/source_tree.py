"""The plain tree of a document, and where everything in it was written. Values only.

A tree is dict, list and scalars. ``Map`` and ``List`` are dict and list that carry the side table of their own
members, so that places follow when trees are merged, and an alias costs nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from unictl.declaration.scalars import Scalar
from unictl.diagnostics.place import DocumentPath, Place


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


class Map(dict[str, "Node"]):
    """A map with the spots of its keys and values."""

    __slots__ = ("spots",)

    def __init__(self, items: "Mapping[str, Node] | None" = None, spots: Mapping[str, tuple[Spot, Spot]] | None = None):
        super().__init__(items or {})
        self.spots: dict[str, tuple[Spot, Spot]] = dict(spots or {})


class List(list["Node"]):
    """A list with the spots of its members."""

    __slots__ = ("spots",)

    def __init__(self) -> None:
        super().__init__()
        self.spots: list[Spot] = []


class InvalidValue:
    """The one value ``INVALID``: here stood something wrong that was told already."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SPOILED"


INVALID: Final = InvalidValue()

Node: TypeAlias = Map | List | InvalidValue | Scalar
"""Any value of a tree."""


class LooseText(str):
    """A text that came whole from ``${var.X}``: where no text is wanted, ``value`` is what it looks like."""

    value: Node

    def __repr__(self) -> str:
        return f"Loose({super().__repr__()})"

    @classmethod
    def of(cls, text: str, value: Node) -> "LooseText":
        """``3`` and 3."""
        loose = cls(text)
        loose.value = value
        return loose


def descend(node: Node, part: str | int) -> tuple[Node, Spot, Spot] | None:
    """One step down: the member, the spot of its key (of itself in a list), its spot; None where it is missing."""
    if isinstance(node, Map):
        part = str(part)
        return (node[part], *node.spots[part]) if part in node else None
    if isinstance(node, List) and isinstance(part, int) and 0 <= part < len(node):
        return (node[part], node.spots[part], node.spots[part])
    return None


def find_spot(tree: Node, path: DocumentPath, *, key: bool = False) -> Spot | None:
    """Where ``path`` was written, or the nearest thing above it that was; None for the whole document.

    A container is shown by its key: the line of ``api:`` says more than the first line below it. A path that
    counts into what stands there in its short form (one check instead of a list) means that form itself.
    """
    nearest: Spot | None = None
    parent_spot: Spot | None = None
    for part in path:
        member = descend(tree, part)
        if member is None and isinstance(part, int) and isinstance(tree, Map):
            member = _numbered_entry(tree, part)
            if member is None:
                continue
        if member is None:
            return parent_spot if isinstance(tree, Map | List) else nearest
        tree, key_spot, value_spot = member
        parent_spot = key_spot
        nearest = key_spot if key or (isinstance(tree, Map | List) and not _is_on_one_line(value_spot)) else value_spot
    return nearest


def _numbered_entry(tree: Map, index: int) -> tuple[Node, Spot, Spot] | None:
    """Entry ``index`` of a map whose keys are numbers (``publish: {80: http}``), in the order of the numbers."""
    names = sorted((name for name in tree if name.isdecimal() and tree[name] is not INVALID), key=int)
    return descend(tree, names[index]) if index < len(names) else None


def _is_on_one_line(span: Spot) -> bool:
    return span.end is not None


def walk_paths(tree: Node, parent: DocumentPath = ()) -> Iterator[DocumentPath]:
    """Every path in ``source_tree``, parents first."""
    members: Iterable[tuple[str | int, Node]] = ()
    if isinstance(tree, Map):
        members = tree.items()
    elif isinstance(tree, List):
        members = enumerate(tree)
    for part, value in members:
        yield (*parent, part)
        yield from walk_paths(value, (*parent, part))


def with_value(tree: Node, path: DocumentPath, value: Node, spots: tuple[Spot, Spot] | None = None) -> Node:
    """``source_tree`` with ``value`` at ``path``; what is shared stays as it was. ``spots`` are those of a new key."""
    if not path:
        return value
    part, remaining_path = path[0], path[1:]
    if isinstance(tree, List) and isinstance(part, int):
        list_copy = List()
        list_copy.extend(tree)
        list_copy.spots = tree.spots
        list_copy[part] = with_value(tree[part], remaining_path, value, spots)
        return list_copy
    if not isinstance(tree, Map):
        return tree
    key = str(part)
    map_copy = Map(tree, tree.spots)
    map_copy[key] = with_value(tree.get(key), remaining_path, value, spots)
    if spots and key not in map_copy.spots:
        map_copy.spots[key] = spots
    return map_copy


def with_document_value(tree: Map, path: DocumentPath, value: Node, spots: tuple[Spot, Spot] | None = None) -> Map:
    """``with_value`` for a whole document, which is a map and stays one."""
    changed = with_value(tree, path, value, spots)
    return changed if isinstance(changed, Map) else tree


class Places(Mapping[DocumentPath, Place]):
    """Path in a merged tree -> Place, made when asked: a fleet has many paths and few problems."""

    __slots__ = ("_tree",)

    def __init__(self, tree: Map):
        self._tree = tree

    def __getitem__(self, path: DocumentPath) -> Place:
        node: Node = self._tree
        for part in path:
            member = descend(node, part)
            if member is None:
                raise KeyError(path)
            node = member[0]
        written_at = self.nearest(path)
        if written_at is None:
            raise KeyError(path)
        return written_at

    def __iter__(self) -> Iterator[DocumentPath]:
        return walk_paths(self._tree)

    def __len__(self) -> int:
        return sum(1 for _ in walk_paths(self._tree))

    def nearest(self, path: DocumentPath, *, key: bool = False) -> Place | None:
        """The place of ``path``, or of the nearest thing above it that was written."""
        written_at = find_spot(self._tree, path, key=key)
        return written_at.place if written_at else None
