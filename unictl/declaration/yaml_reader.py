"""Reads the YAML of one file into a plain tree with places, and reports its problems. Uses pyyaml.

The tree is built from parser events, without PyYAML's nodes and constructors: they take five times as long, and
implement YAML 1.1. An unreadable place is reported once; the values before it are kept.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from unictl.declaration.scalars import resolve_scalar
from unictl.declaration.source_tree import INVALID, List, Map, Node, Spot
from unictl.declaration.yaml_errors import explain_yaml_error
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Place
from unictl.fleet.names import quote_key

MAX_BYTES = 4 << 20
MAX_NODES = 100_000
MAX_DEPTH = 64
READERS: tuple[type[yaml.CBaseLoader | yaml.BaseLoader], ...] = (
    *([yaml.CBaseLoader] if yaml.__with_libyaml__ else []),
    yaml.BaseLoader,
)
"""Readers of events, the fastest first; apart from oddities such as a tab behind a colon they read the same."""

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """One file.

    ``complete`` is False when reading stopped early: then something may be missing from ``source_tree``.
    """

    file: str
    tree: Map
    problems: tuple[Diagnostic, ...] = ()
    complete: bool = True


class _StopReadingError(Exception):
    """Nothing behind this can be read."""

    def __init__(self, problem: Diagnostic):
        super().__init__(problem.summary)
        self.problem = problem


@dataclass(slots=True)
class _Anchor:
    value: Node
    nodes: int = 0
    height: int = 0
    open: bool = True


@dataclass(slots=True)
class _Frame:
    """A container that is being read; ``key`` is the one whose value comes next."""

    value: Map | List
    nodes: int
    anchor: _Anchor | None = None
    height: int = 1
    key: tuple[str, Spot] | None = None
    hidden: bool = False


@dataclass(slots=True)
class _Builder:
    file: str
    root: Node = None
    problems: list[Diagnostic] = field(default_factory=list)
    stack: list[_Frame] = field(default_factory=list)
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    nodes: int = 0
    documents: int = 0
    root_spot: Spot | None = None

    def spot_of(self, event: Any, written: str | None = None) -> Spot:
        start, end = event.start_mark, event.end_mark
        last = end.column + 1 if end.line == start.line else None
        return Spot(self.file, start.line + 1, start.column + 1, last, written)

    def make_problem(
        self, code: str, spot: Spot, summary: str, hint: str = "", related: tuple[Place, ...] = ()
    ) -> Diagnostic:
        return Diagnostic(code=code, summary=summary, hint=hint, place=spot.place, related=related)

    def start_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            summary = "a second document begins here: a fleet file is one document"
            hint = "Put it into a file of its own, and name that under `include`."
            raise _StopReadingError(self.make_problem("several-documents", self.spot_of(event), summary, hint))

    def add_scalar(self, event: Any) -> None:
        plain = not event.style
        spot = self.spot_of(event, event.value if plain else None)
        frame = self.stack[-1] if self.stack else None
        if frame and frame.key is None and isinstance(frame.value, Map):
            self.register_anchor(event, event.value)
            self.set_key(frame, event.value, spot, plain)
            return
        value: Node = resolve_scalar(event.value) if plain else event.value
        if event.tag is not None:
            self.report_tag(event, spot)
            value = INVALID
        self.register_anchor(event, value)
        self.add(value, spot)

    def set_key(self, frame: _Frame, text: str, spot: Spot, plain: bool) -> None:
        first_spots = frame.value.spots.get(text) if isinstance(frame.value, Map) else None
        if text == "<<" and plain:
            hint = "Write what services have in common as a template, and name it with `extends`."
            self.problems.append(self.make_problem("merge-key", spot, "`<<` is not of this language", hint))
            frame.hidden = True
        elif text == "" and plain:
            self.problems.append(self.make_problem("syntax", spot, "a value without a key", "Write `key: value`."))
            frame.hidden = True
        elif first_spots:
            first_place = first_spots[0].place
            summary = f"{quote_key(text)} stands twice in one map; first in line {first_place.line}"
            hint = "Take one of them away, or put both contents under one key."
            self.problems.append(self.make_problem("duplicate-key", spot, summary, hint, (first_place,)))
            frame.hidden = True
        frame.key = (text, spot)

    def add(self, value: Node, spot: Spot) -> None:
        """Attach ``value`` where the reading stands. Done at its beginning, so that half a document is there too."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            summary = f"more than {MAX_NODES:,} values, aliases counted as often as they are used"
            raise _StopReadingError(
                self.make_problem("too-large", spot, summary, "Use templates instead of aliases, or split the fleet.")
            )
        if not self.stack:
            self.root, self.root_spot = value, spot
            return
        frame = self.stack[-1]
        if isinstance(frame.value, List):
            frame.value.append(value)
            frame.value.spots.append(spot)
        elif frame.key is None:
            hint = "Put a text with braces in quotes; variables are written ${var.X}."
            raise _StopReadingError(self.make_problem("syntax", spot, "a map or a list cannot be a key", hint))
        else:
            if not frame.hidden:
                frame.value[frame.key[0]] = value
                frame.value.spots[frame.key[0]] = (frame.key[1], spot)
            frame.key, frame.hidden = None, False

    def begin_container(self, event: Any, value: Map | List) -> None:
        spot = self.spot_of(event)
        if event.tag is not None:
            self.report_tag(event, spot)
        if len(self.stack) >= MAX_DEPTH:
            raise _StopReadingError(self.make_problem("too-deep", spot, f"nested more than {MAX_DEPTH} deep"))
        nodes_before = self.nodes
        self.add(value, spot)
        self.stack.append(_Frame(value, nodes_before, self.register_anchor(event, value, container=True)))

    def end_container(self, event: Any) -> None:
        frame = self.stack.pop()
        if self.stack:
            self.stack[-1].height = max(self.stack[-1].height, frame.height + 1)
        if frame.anchor:
            frame.anchor.nodes, frame.anchor.height = self.nodes - frame.nodes, frame.height
            frame.anchor.open = False
        self.set_container_span(frame.value, event)

    def set_container_span(self, value: Map | List, event: Any) -> None:
        """Now that its end is known, a container written on one line gets its whole span."""
        if not self.stack:
            return
        parent, end_mark = self.stack[-1].value, event.end_mark
        if isinstance(parent, List):
            spot = parent.spots[-1]
            if spot.line == end_mark.line + 1:
                parent.spots[-1] = spot._replace(end=end_mark.column + 1)
            else:
                parent.spots[-1] = spot._replace(end=None)
            return
        name = next(reversed(parent), None)
        if name is not None and parent[name] is value:
            key, spot = parent.spots[name]
            parent.spots[name] = (
                key,
                spot._replace(end=end_mark.column + 1 if spot.line == end_mark.line + 1 else None),
            )

    def register_anchor(self, event: Any, value: Node, *, container: bool = False) -> _Anchor | None:
        if event.anchor is None:
            return None
        self.anchors[event.anchor] = _Anchor(value, nodes=1, open=container)
        return self.anchors[event.anchor]

    def add_alias(self, event: Any) -> None:
        spot = self.spot_of(event)
        anchor = self.anchors.get(event.anchor)
        frame = self.stack[-1] if self.stack else None
        if frame and frame.key is None and isinstance(frame.value, Map):
            raise _StopReadingError(self.make_problem("alias", spot, "an alias cannot be a key", "Write the key out."))
        if anchor is None or anchor.open:
            complaint = "has no anchor before it" if anchor is None else "stands inside of what it names"
            hint = "" if anchor else f"Write &{event.anchor} before the value it means."
            self.problems.append(self.make_problem("alias", spot, f"the alias *{event.anchor} {complaint}", hint))
            self.add(INVALID, spot)
            return
        if len(self.stack) + anchor.height > MAX_DEPTH:
            raise _StopReadingError(self.make_problem("too-deep", spot, f"nested more than {MAX_DEPTH} deep"))
        if frame:
            frame.height = max(frame.height, anchor.height + 1)
        self.nodes += max(anchor.nodes - 1, 0)
        self.add(anchor.value, spot)

    def report_tag(self, event: Any, spot: Spot) -> None:
        summary = f"the tag {event.tag.replace('tag:yaml.org,2002:', '!!')} is not of this language"
        hint = "Take the tag away; a text that looks like a number stands in quotes."
        self.problems.append(self.make_problem("tag", spot, summary, hint))


def _event_handlers(builder: _Builder) -> dict[type, Callable[[Any], None]]:
    return {
        ScalarEvent: builder.add_scalar,
        MappingStartEvent: lambda event: builder.begin_container(event, Map()),
        MappingEndEvent: builder.end_container,
        SequenceStartEvent: lambda event: builder.begin_container(event, List()),
        SequenceEndEvent: builder.end_container,
        AliasEvent: builder.add_alias,
        DocumentStartEvent: builder.start_document,
    }


def read_yaml(text: str, file: str, loader: Any = None) -> YamlDocument:
    """The tree of ``text``; never raises, whatever the text."""
    builder = _Builder(file)
    try:
        _check_characters(text, file)
        handlers = _event_handlers(builder)
        for event in yaml.parse(text, Loader=loader or READERS[0]):
            handle = handlers.get(type(event))
            if handle:
                handle(event)
    except _StopReadingError as stopped:
        builder.problems.append(stopped.problem)
        if builder.stack:
            _invalidate_last(builder.root)
        return _build_document(builder, complete=False)
    except yaml.MarkedYAMLError as error:
        builder.problems.append(explain_yaml_error(error, text, file))
        _invalidate_last(builder.root)
        return _build_document(builder, complete=False)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML's own scanner lets a bad \U escape through to chr().
        place = Place(file=file, line=1, column=1)
        builder.problems.append(Diagnostic(code="syntax", summary=f"this cannot be read as YAML: {error}", place=place))
        return _build_document(builder, complete=False)
    return _build_document(builder, complete=True)


def _invalidate_last(node: Node) -> None:
    """The value read last may have swallowed what follows it: nothing can be said about it."""
    while isinstance(node, Map | List) and node:
        last_value = node[next(reversed(node))] if isinstance(node, Map) else node[-1]
        if not isinstance(last_value, Map | List) or not last_value:
            _replace_last(node, INVALID)
            return
        node = last_value


def _replace_last(container: Map | List, value: Node) -> None:
    if isinstance(container, Map):
        container[next(reversed(container))] = value
    else:
        container[-1] = value


def _check_characters(text: str, file: str) -> None:
    if len(text) > MAX_BYTES or len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        place = Place(file=file, line=1, column=1)
        hint = "Split it, and name the parts under `include`."
        raise _StopReadingError(
            Diagnostic(code="too-large", summary="the file is larger than 4 MiB", hint=hint, place=place)
        )
    bad_character = _UNREADABLE.search(text.removeprefix("\ufeff"))
    if bad_character:
        text_before = text[: text.index(bad_character[0])]
        line = text_before.count("\n") + 1
        column = len(text_before) - (text_before.rfind("\n") + 1) + 1
        summary = f"the character U+{ord(bad_character[0]):04X} cannot stand in a text file"
        place = Place(file=file, line=line, column=column, end_column=column + 1)
        raise _StopReadingError(
            Diagnostic(code="syntax", summary=summary, hint="Take it away, or write it as an escape.", place=place)
        )


def _build_document(builder: _Builder, *, complete: bool) -> YamlDocument:
    root, problems = builder.root, tuple(builder.problems)
    if root is not None and not isinstance(root, Map) and complete and builder.root_spot:
        root_problem = builder.make_problem(
            "wrong-type", builder.root_spot, "a fleet file is a map of keys", "Begin with `fleet: NAME`."
        )
        problems, complete = (*problems, root_problem), False
    tree = root if isinstance(root, Map) else Map()
    return YamlDocument(file=builder.file, tree=tree, problems=problems, complete=complete)
