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

from unictl.declaration.scalars import resolve
from unictl.declaration.source_tree import SPOILED, List, Map, Spot
from unictl.declaration.yaml_errors import complaint
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Place
from unictl.fleet.names import marked

MOST_BYTES = 4 << 20
MOST_NODES = 100_000
MOST_DEPTH = 64
READERS: tuple[Any, ...] = (*([yaml.CBaseLoader] if yaml.__with_libyaml__ else []), yaml.BaseLoader)
"""Readers of events, the fastest first; apart from oddities such as a tab behind a colon they read the same."""

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file. ``whole`` is False when reading stopped early: then something may be missing from ``tree``."""

    file: str
    tree: Map
    problems: tuple[Diagnostic, ...] = ()
    whole: bool = True


class _StopError(Exception):
    """Nothing behind this can be read."""

    def __init__(self, problem: Diagnostic):
        super().__init__(problem.summary)
        self.problem = problem


@dataclass(slots=True)
class _Anchor:
    value: Any
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
    root: Any = None
    problems: list[Diagnostic] = field(default_factory=list)
    stack: list[_Frame] = field(default_factory=list)
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    nodes: int = 0
    documents: int = 0
    at: Spot | None = None

    def spot(self, event: Any, written: str | None = None) -> Spot:
        start, end = event.start_mark, event.end_mark
        last = end.column + 1 if end.line == start.line else None
        return Spot(self.file, start.line + 1, start.column + 1, last, written)

    def problem(
        self, code: str, spot: Spot, summary: str, hint: str = "", related: tuple[Place, ...] = ()
    ) -> Diagnostic:
        return Diagnostic(code=code, summary=summary, hint=hint, place=spot.place, related=related)

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            summary = "a second document begins here: a fleet file is one document"
            hint = "Put it into a file of its own, and name that under `include`."
            raise _StopError(self.problem("several-documents", self.spot(event), summary, hint))

    def scalar(self, event: Any) -> None:
        plain = not event.style
        spot = self.spot(event, event.value if plain else None)
        frame = self.stack[-1] if self.stack else None
        if frame and frame.key is None and isinstance(frame.value, Map):
            self.anchored(event, event.value)
            self.key(frame, event.value, spot, plain)
            return
        value: Any = resolve(event.value) if plain else event.value
        if event.tag is not None:
            self.tagged(event, spot)
            value = SPOILED
        self.anchored(event, value)
        self.add(value, spot)

    def key(self, frame: _Frame, text: str, spot: Spot, plain: bool) -> None:
        twin = frame.value.spots.get(text) if isinstance(frame.value, Map) else None
        if text == "<<" and plain:
            hint = "Write what services have in common as a template, and name it with `extends`."
            self.problems.append(self.problem("merge-key", spot, "`<<` is not of this language", hint))
            frame.hidden = True
        elif text == "" and plain:
            self.problems.append(self.problem("syntax", spot, "a value without a key", "Write `key: value`."))
            frame.hidden = True
        elif twin:
            first = twin[0].place
            summary = f"{marked(text)} stands twice in one map; first in line {first.line}"
            hint = "Take one of them away, or put both contents under one key."
            self.problems.append(self.problem("duplicate-key", spot, summary, hint, (first,)))
            frame.hidden = True
        frame.key = (text, spot)

    def add(self, value: Any, spot: Spot) -> None:
        """Attach ``value`` where the reading stands. Done at its beginning, so that half a document is there too."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            summary = f"more than {MOST_NODES:,} values, aliases counted as often as they are used"
            raise _StopError(
                self.problem("too-large", spot, summary, "Use templates instead of aliases, or split the fleet.")
            )
        if not self.stack:
            self.root, self.at = value, spot
            return
        frame = self.stack[-1]
        if isinstance(frame.value, List):
            frame.value.append(value)
            frame.value.spots.append(spot)
        elif frame.key is None:
            hint = "Put a text with braces in quotes; variables are written ${var.X}."
            raise _StopError(self.problem("syntax", spot, "a map or a list cannot be a key", hint))
        else:
            if not frame.hidden:
                frame.value[frame.key[0]] = value
                frame.value.spots[frame.key[0]] = (frame.key[1], spot)
            frame.key, frame.hidden = None, False

    def begin(self, event: Any, value: Map | List) -> None:
        spot = self.spot(event)
        if event.tag is not None:
            self.tagged(event, spot)
        if len(self.stack) >= MOST_DEPTH:
            raise _StopError(self.problem("too-deep", spot, f"nested more than {MOST_DEPTH} deep"))
        before = self.nodes
        self.add(value, spot)
        self.stack.append(_Frame(value, before, self.anchored(event, value, container=True)))

    def end(self, event: Any) -> None:
        frame = self.stack.pop()
        if self.stack:
            self.stack[-1].height = max(self.stack[-1].height, frame.height + 1)
        if frame.anchor:
            frame.anchor.nodes, frame.anchor.height = self.nodes - frame.nodes, frame.height
            frame.anchor.open = False
        self.close(frame.value, event)

    def close(self, value: Map | List, event: Any) -> None:
        """Now that its end is known, a container written on one line gets its whole span."""
        if not self.stack:
            return
        above, last = self.stack[-1].value, event.end_mark
        if isinstance(above, List):
            spot = above.spots[-1]
            if spot.line == last.line + 1:
                above.spots[-1] = spot._replace(end=last.column + 1)
            else:
                above.spots[-1] = spot._replace(end=None)
            return
        name = next(reversed(above), None)
        if name is not None and above[name] is value:
            key, spot = above.spots[name]
            above.spots[name] = (key, spot._replace(end=last.column + 1 if spot.line == last.line + 1 else None))

    def anchored(self, event: Any, value: Any, *, container: bool = False) -> _Anchor | None:
        if event.anchor is None:
            return None
        self.anchors[event.anchor] = _Anchor(value, nodes=1, open=container)
        return self.anchors[event.anchor]

    def alias(self, event: Any) -> None:
        spot = self.spot(event)
        anchor = self.anchors.get(event.anchor)
        frame = self.stack[-1] if self.stack else None
        if frame and frame.key is None and isinstance(frame.value, Map):
            raise _StopError(self.problem("alias", spot, "an alias cannot be a key", "Write the key out."))
        if anchor is None or anchor.open:
            why = "has no anchor before it" if anchor is None else "stands inside of what it names"
            hint = "" if anchor else f"Write &{event.anchor} before the value it means."
            self.problems.append(self.problem("alias", spot, f"the alias *{event.anchor} {why}", hint))
            self.add(SPOILED, spot)
            return
        if len(self.stack) + anchor.height > MOST_DEPTH:
            raise _StopError(self.problem("too-deep", spot, f"nested more than {MOST_DEPTH} deep"))
        if frame:
            frame.height = max(frame.height, anchor.height + 1)
        self.nodes += max(anchor.nodes - 1, 0)
        self.add(anchor.value, spot)

    def tagged(self, event: Any, spot: Spot) -> None:
        summary = f"the tag {event.tag.replace('tag:yaml.org,2002:', '!!')} is not of this language"
        hint = "Take the tag away; a text that looks like a number stands in quotes."
        self.problems.append(self.problem("tag", spot, summary, hint))


def _handlers(builder: _Builder) -> dict[type, Callable[[Any], None]]:
    return {
        ScalarEvent: builder.scalar,
        MappingStartEvent: lambda event: builder.begin(event, Map()),
        MappingEndEvent: builder.end,
        SequenceStartEvent: lambda event: builder.begin(event, List()),
        SequenceEndEvent: builder.end,
        AliasEvent: builder.alias,
        DocumentStartEvent: builder.document,
    }


def read(text: str, file: str, reader: Any = None) -> Document:
    """The tree of ``text``; never raises, whatever the text."""
    builder = _Builder(file)
    try:
        _check(text, file)
        handlers = _handlers(builder)
        for event in yaml.parse(text, Loader=reader or READERS[0]):
            handle = handlers.get(type(event))
            if handle:
                handle(event)
    except _StopError as stop:
        builder.problems.append(stop.problem)
        if builder.stack:
            _spoil_last(builder.root)
        return _document(builder, whole=False)
    except yaml.MarkedYAMLError as error:
        builder.problems.append(complaint(error, text, file))
        _spoil_last(builder.root)
        return _document(builder, whole=False)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML's own scanner lets a bad \U escape through to chr().
        place = Place(file=file, line=1, column=1)
        builder.problems.append(Diagnostic(code="syntax", summary=f"this cannot be read as YAML: {error}", place=place))
        return _document(builder, whole=False)
    return _document(builder, whole=True)


def _spoil_last(node: Any) -> None:
    """The value read last may have swallowed what follows it: nothing can be said about it."""
    while isinstance(node, Map | List) and node:
        last: Any = next(reversed(node)) if isinstance(node, Map) else len(node) - 1
        if not isinstance(node[last], Map | List) or not node[last]:
            node[last] = SPOILED
            return
        node = node[last]


def _check(text: str, file: str) -> None:
    if len(text) > MOST_BYTES or len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        place = Place(file=file, line=1, column=1)
        hint = "Split it, and name the parts under `include`."
        raise _StopError(Diagnostic(code="too-large", summary="the file is larger than 4 MiB", hint=hint, place=place))
    odd = _UNREADABLE.search(text.removeprefix("\ufeff"))
    if odd:
        before = text[: text.index(odd[0])]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        summary = f"the character U+{ord(odd[0]):04X} cannot stand in a text file"
        place = Place(file=file, line=line, column=column, end_column=column + 1)
        raise _StopError(
            Diagnostic(code="syntax", summary=summary, hint="Take it away, or write it as an escape.", place=place)
        )


def _document(builder: _Builder, *, whole: bool) -> Document:
    root, problems = builder.root, tuple(builder.problems)
    if root is not None and not isinstance(root, Map) and whole and builder.at:
        shown = builder.problem("wrong-type", builder.at, "a fleet file is a map of keys", "Begin with `fleet: NAME`.")
        problems, whole = (*problems, shown), False
    tree = root if isinstance(root, Map) else Map()
    return Document(file=builder.file, tree=tree, problems=problems, whole=whole)
