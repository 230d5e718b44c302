"""The fleet file and the files that it includes, as one tree.

Takes only the files it needs from a mapping of texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unictl.declaration.formats import invalid_reason
from unictl.declaration.globs import match_paths
from unictl.declaration.source_tree import List, Map, Spot
from unictl.declaration.yaml_reader import YamlDocument, read_yaml
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.names import closest_match, quote_key

SPREADABLE_SECTIONS = (
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
class IncludedFiles:
    """What was read.

    ``complete`` is False when a file could not be read to its end: names may be missing then, and ``truncated_entries``
    are the entries in which reading ended.
    """

    tree: Map = field(default_factory=Map)
    texts: dict[str, str] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)
    complete: bool = True
    truncated_entries: list[DocumentPath] = field(default_factory=list)

    def report(self, code: str, spot: Spot | None, summary: str, hint: str = "", related: Spot | None = None) -> None:
        """One more problem."""
        related_places = (related.place,) if related else ()
        place = spot.place if spot else None
        self.problems.append(Diagnostic(code=code, summary=summary, hint=hint, place=place, related=related_places))


def gather_files(files: Mapping[str, str], entry: str) -> IncludedFiles:
    """The entry file and its includes as one tree; the same name declared twice is a problem that shows both places."""
    gathered = IncludedFiles()
    if entry not in files:
        suggestion = closest_match(entry, (path for path in files if path.endswith((".yaml", ".yml"))))
        hint = (
            f"There is {suggestion}." if suggestion else "Go to a folder that has one, or make one with `unictl init`."
        )
        gathered.report("no-fleet", None, f"there is no {entry} here", hint)
        gathered.complete = False
        return gathered
    entry_document = _read_file(gathered, files, entry, None)
    if entry_document is None:
        return gathered
    gathered.tree = Map(entry_document.tree, entry_document.tree.spots)
    for path, spot in _resolve_includes(gathered, files, entry).items():
        document = _read_file(gathered, files, path, spot)
        if document:
            _merge_document(gathered, document)
    return gathered


def _read_file(
    gathered: IncludedFiles, files: Mapping[str, str], path: str, include_spot: Spot | None
) -> YamlDocument | None:
    try:
        text = files[path]
    except UnicodeDecodeError:
        gathered.report("unreadable", include_spot, f"{path} is no UTF-8 text")
        gathered.complete = False
        return None
    except OSError as error:
        gathered.report("unreadable", include_spot, f"{path} cannot be read: {error.strerror or error}")
        gathered.complete = False
        return None
    gathered.texts[path] = text
    document = read_yaml(text, path)
    gathered.problems.extend(document.problems)
    gathered.complete = gathered.complete and document.complete
    if not document.complete:
        gathered.truncated_entries.append(_last_entry(document.tree))
    return document


def _last_entry(tree: Map) -> DocumentPath:
    """The entry that was read last: what is missing in it may stand behind the place where reading ended."""
    section = next(reversed(tree), None)
    if section is None:
        return ()
    entries = tree[section]
    name = next(reversed(entries), None) if section in SPREADABLE_SECTIONS and isinstance(entries, Map) else None
    return (section,) if name is None else (section, name)


def _resolve_includes(gathered: IncludedFiles, files: Mapping[str, str], entry: str) -> dict[str, Spot]:
    """The files to include and where they are asked for, each once, in the order of their names within a glob."""
    globs = gathered.tree.get("include")
    spots_by_path: dict[str, Spot] = {}
    directory = entry[: entry.rfind("/") + 1]
    paths_inside = {path.removeprefix(directory): path for path in files if path.startswith(directory)}
    for glob, spot in zip(globs, globs.spots, strict=True) if isinstance(globs, List) else ():
        if not isinstance(glob, str) or invalid_reason("glob", glob):
            continue  # The schema says what is wrong.
        paths = match_paths(glob, paths_inside)
        if not paths:
            hint = _include_hint(glob, paths_inside)
            gathered.report("include-nothing", spot, f"{glob!r} names no file of this folder", hint)
            gathered.complete = False
        for path in paths:
            if paths_inside[path] != entry:
                spots_by_path.setdefault(paths_inside[path], spot)
    return spots_by_path


def _include_hint(glob: str, paths: Mapping[str, str]) -> str:
    suggestion = closest_match(glob, (path for path in paths if path.endswith((".yaml", ".yml"))))
    return (
        f"Did you mean {suggestion}?"
        if suggestion
        else "Globs count from the folder of the fleet file; `**` is any depth."
    )


def _merge_document(gathered: IncludedFiles, document: YamlDocument) -> None:
    for key, value in document.tree.items():
        key_spot, first_spots = document.tree.spots[key][0], gathered.tree.spots.get(key)
        existing = gathered.tree.get(key)
        if key == "include":
            gathered.report(
                "include-nested",
                key_spot,
                "an included file includes nothing itself",
                "Name the files in the entry file.",
            )
        elif first_spots is None:
            gathered.tree[key], gathered.tree.spots[key] = value, document.tree.spots[key]
        elif key in SPREADABLE_SECTIONS and value is None:
            continue
        elif key in SPREADABLE_SECTIONS and isinstance(value, Map) and isinstance(existing, Map):
            gathered.tree[key] = _merge_section(gathered, existing, value, key)
        elif key in SPREADABLE_SECTIONS and isinstance(value, Map) and existing is None:
            gathered.tree[key], gathered.tree.spots[key] = value, document.tree.spots[key]
        elif key in SPREADABLE_SECTIONS and not isinstance(value, Map):
            gathered.report("wrong-type", key_spot, f"`{key}`: a map is wanted")
        else:
            hint = "Keep one of them."
            gathered.report(
                "declared-twice",
                key_spot,
                f"{quote_key(key)} stands already in {first_spots[0].place}",
                hint,
                first_spots[0],
            )


def _merge_section(gathered: IncludedFiles, existing: Map, addition: Map, section: str) -> Map:
    result = Map(existing, existing.spots)
    for name, value in addition.items():
        key_spot, first_spots = addition.spots[name][0], existing.spots.get(name)
        if first_spots:
            entry_name = f"{section.removesuffix('s')} {name!r}"
            hint = "Rename one of them, or take one away."
            gathered.report(
                "declared-twice",
                key_spot,
                f"the {entry_name} is declared already in {first_spots[0].place}",
                hint,
                first_spots[0],
            )
        else:
            result[name], result.spots[name] = value, addition.spots[name]
    return result
