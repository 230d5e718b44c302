"""The fleet file and the files that it includes, as one tree.

Takes only the files it needs from a mapping of texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unictl.declaration.formats import why
from unictl.declaration.globs import matching
from unictl.declaration.source_tree import List, Map, Spot
from unictl.declaration.yaml_reader import Document, read
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Path
from unictl.fleet.names import closest, marked

SECTIONS = (
    "variables",
    "templates",
    "environments",
    "hosts",
    "networks",
    "images",
    "volumes",
    "secrets",
    "services",
    "tests",
)
"""Top-level keys whose entries may be spread over files."""


@dataclass(slots=True, kw_only=True)
class Folder:
    """What was read.

    ``whole`` is False when a file could not be read to its end: names may be missing then, and ``halves`` are the
    entries in which reading ended.
    """

    tree: Map = field(default_factory=Map)
    texts: dict[str, str] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)
    whole: bool = True
    halves: list[Path] = field(default_factory=list)

    def tell(self, code: str, spot: Spot | None, summary: str, hint: str = "", related: Spot | None = None) -> None:
        """One more problem."""
        others = (related.place,) if related else ()
        place = spot.place if spot else None
        self.problems.append(Diagnostic(code=code, summary=summary, hint=hint, place=place, related=others))


def gather(files: Mapping[str, str], entry: str) -> Folder:
    """The entry file and its includes as one tree; the same name declared twice is a problem that shows both places."""
    folder = Folder()
    if entry not in files:
        near = closest(entry, (path for path in files if path.endswith((".yaml", ".yml"))))
        hint = f"There is {near}." if near else "Go to a folder that has one, or make one with `unictl init`."
        folder.tell("no-fleet", None, f"there is no {entry} here", hint)
        folder.whole = False
        return folder
    first = _read(folder, files, entry, None)
    if first is None:
        return folder
    folder.tree = Map(first.tree, first.tree.spots)
    for path, spot in _included(folder, files, entry).items():
        document = _read(folder, files, path, spot)
        if document:
            _join(folder, document)
    return folder


def _read(folder: Folder, files: Mapping[str, str], path: str, asked: Spot | None) -> Document | None:
    try:
        text = files[path]
    except UnicodeDecodeError:
        folder.tell("unreadable", asked, f"{path} is no UTF-8 text")
        folder.whole = False
        return None
    except OSError as error:
        folder.tell("unreadable", asked, f"{path} cannot be read: {error.strerror or error}")
        folder.whole = False
        return None
    folder.texts[path] = text
    document = read(text, path)
    folder.problems.extend(document.problems)
    folder.whole = folder.whole and document.whole
    if not document.whole:
        folder.halves.append(_half(document.tree))
    return document


def _half(tree: Map) -> Path:
    """The entry that was read last: what is missing in it may stand behind the place where reading ended."""
    section = next(reversed(tree), None)
    if section is None:
        return ()
    below = tree[section]
    name = next(reversed(below), None) if section in SECTIONS and isinstance(below, Map) else None
    return (section,) if name is None else (section, name)


def _included(folder: Folder, files: Mapping[str, str], entry: str) -> dict[str, Spot]:
    """The files to include and where they are asked for, each once, in the order of their names within a glob."""
    globs: Any = folder.tree.get("include")
    found: dict[str, Spot] = {}
    base = entry[: entry.rfind("/") + 1]
    inside = {path.removeprefix(base): path for path in files if path.startswith(base)}
    for glob, spot in zip(globs, globs.spots, strict=True) if isinstance(globs, List) else ():
        if not isinstance(glob, str) or why("glob", glob):
            continue  # The schema says what is wrong.
        paths = matching(glob, inside)
        if not paths:
            hint = _nearby(glob, inside)
            folder.tell("include-nothing", spot, f"{glob!r} names no file of this folder", hint)
            folder.whole = False
        for path in paths:
            if inside[path] != entry:
                found.setdefault(inside[path], spot)
    return found


def _nearby(glob: str, paths: Mapping[str, str]) -> str:
    near = closest(glob, (path for path in paths if path.endswith((".yaml", ".yml"))))
    return f"Did you mean {near}?" if near else "Globs count from the folder of the fleet file; `**` is any depth."


def _join(folder: Folder, document: Document) -> None:
    for key, value in document.tree.items():
        here, there = document.tree.spots[key][0], folder.tree.spots.get(key)
        if key == "include":
            folder.tell(
                "include-nested", here, "an included file includes nothing itself", "Name the files in the entry file."
            )
        elif there is None:
            folder.tree[key], folder.tree.spots[key] = value, document.tree.spots[key]
        elif key in SECTIONS and value is None:
            continue
        elif key in SECTIONS and isinstance(value, Map) and isinstance(folder.tree[key], Map):
            folder.tree[key] = _joined(folder, folder.tree[key], value, key)
        elif key in SECTIONS and isinstance(value, Map) and folder.tree[key] is None:
            folder.tree[key], folder.tree.spots[key] = value, document.tree.spots[key]
        elif key in SECTIONS and not isinstance(value, Map):
            folder.tell("wrong-type", here, f"`{key}`: a map is wanted")
        else:
            hint = "Keep one of them."
            folder.tell("declared-twice", here, f"{marked(key)} stands already in {there[0].place}", hint, there[0])


def _joined(folder: Folder, before: Map, more: Map, section: str) -> Map:
    result = Map(before, before.spots)
    for name, value in more.items():
        key, there = more.spots[name][0], before.spots.get(name)
        if there:
            what = f"{section.removesuffix('s')} {name!r}"
            hint = "Rename one of them, or take one away."
            folder.tell("declared-twice", key, f"the {what} is declared already in {there[0].place}", hint, there[0])
        else:
            result[name], result.spots[name] = value, more.spots[name]
    return result
