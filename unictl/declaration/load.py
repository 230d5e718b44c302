"""Entry point of this package: texts of fleet files -> Fleet, problems and places."""

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from unictl.declaration import decode, includes, schema, variables
from unictl.declaration.decode_service import KEYS
from unictl.declaration.includes import Folder
from unictl.declaration.merge import Templates, with_environment, without_nulls
from unictl.declaration.source_tree import SPOILED, Map, Places, Sources, changed
from unictl.diagnostics.diagnostic import Diagnostic, Problems, errors
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path, Place
from unictl.fleet import rules
from unictl.fleet.model import Fleet
from unictl.fleet.names import closest, there_are

_NOWHERE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of loading. ``fleet`` is None exactly when ``problems`` holds an error.

    ``places`` maps a path of the *merged* tree to where it was written, e.g. ``("services", "api", "args", 0)``;
    ``files`` are the files that were read, in order; ``sources`` their texts; ``environments`` the names of all
    environments that the fleet declares.
    """

    fleet: Fleet | None
    problems: Problems
    places: Mapping[Path, Place]
    files: tuple[str, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    environments: tuple[str, ...] = ()

    def diagnostics(self, findings: Iterable[Finding]) -> Problems:
        """``findings`` about this fleet with their places and source lines: for judgements made elsewhere."""
        return tuple(_diagnostic(finding, self.places, self.sources) for finding in findings)


def load(
    files: Mapping[str, str],
    *,
    schema: Mapping[str, Any],
    environment: str = "",
    variables: Mapping[str, str] = _NOWHERE,
    entry: str = "fleet.yaml",
) -> Loaded:
    """The fleet that ``entry`` and its includes declare, for one environment; never raises for what a file holds.

    ``files`` may read lazily: its keys are all paths of the folder, and only what is needed is asked for.
    """
    with _collector_off():
        return _Loading(includes.gather(files, entry), schema, environment, variables).loaded()


@contextmanager
def _collector_off() -> Iterator[None]:
    """Nothing made here is garbage before it is done, and looking for some takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(slots=True)
class _Loading:
    """One load: the steps share the problems found so far, and none of them stops at the first."""

    read: Folder
    schema: Mapping[str, Any]
    environment: str
    overrides: Mapping[str, str]
    judge: bool = True

    def loaded(self) -> Loaded:
        names = self._environments()
        self._choose(names)
        tree, found = schema.check(self._substituted(), self.schema)
        self.read.problems += found
        for half in filter(None, self.read.halves):
            tree = changed(tree, half, SPOILED)
        merged = self._merged(tree)
        fleet, reader = decode.fleet(merged, self.environment)
        sources, places = Sources(self.read.texts), Places(merged)
        problems = self.read.problems + self._judged(fleet, reader.spoiled, reader.problems, places, sources)
        sorted_ = tuple(sorted((_with_source(problem, sources) for problem in problems), key=_order))
        return Loaded(
            fleet=None if errors(sorted_) else fleet,
            problems=tuple(dict.fromkeys(sorted_)),
            places=places,
            files=tuple(self.read.texts),
            sources=sources,
            environments=names,
        )

    def _environments(self) -> tuple[str, ...]:
        declared = self.read.tree.get("environments")
        return tuple(sorted(declared)) if isinstance(declared, Map) else ()

    def _choose(self, names: tuple[str, ...]) -> None:
        """The environment asked for, or the default; a fleet with environments is nothing without one."""
        asked, spot = self.environment, None
        if not asked and isinstance(self.read.tree.get("default_env"), str):
            asked, spot = self.read.tree["default_env"], self.read.tree.spots["default_env"][1]
        if asked and asked not in names:
            near = closest(asked, names)
            hint = f"Did you mean {near}?" if near else there_are(names) or "The fleet declares none."
            self.read.tell("unknown-environment", spot, f"there is no environment {asked!r}", hint)
        elif not asked and names:
            hint = f"Choose one with `-env`: {', '.join(names)}. Or set `default_env`."
            spot = self.read.tree.spots["environments"][0]
            self.read.tell("environment-needed", spot, "the fleet has environments, and none is chosen", hint)
        self.judge = asked in names or not (asked or names)
        self.environment = asked if asked in names else ""

    def _substituted(self) -> Map:
        tree, problems = self.read.tree, self.read.problems
        base = variables.declared(tree, problems)
        environments = tree.get("environments")
        levels = (
            {name: level for name, level in environments.items() if isinstance(level, Map)}
            if isinstance(environments, Map)
            else {}
        )
        own = {name: base | variables.declared(level, problems) for name, level in levels.items()}
        chosen = variables.overridden(own.get(self.environment, base), self.overrides, problems)
        result = self._level(tree, chosen, judge=self.judge)
        for name, level in levels.items():
            known = chosen if name == self.environment else own[name]
            levels[name] = self._level(level, known, judge=True)
        if isinstance(environments, Map) and any(environments[name] is not level for name, level in levels.items()):
            result = Map(result, result.spots)
            result["environments"] = Map({**environments, **levels}, environments.spots)
        return result

    def _level(self, tree: Map, known: Mapping[str, variables.Variable], *, judge: bool) -> Map:
        given = self.read.tree.get("fleet")
        name = given.get("name") if isinstance(given, Map) else given
        return variables.Substitution(known, name if isinstance(name, str) else "", self.read.problems, judge).level(
            tree
        )

    def _merged(self, tree: Map) -> Map:
        environments = tree.get("environments")
        chosen = environments.get(self.environment) if isinstance(environments, Map) else None
        if isinstance(chosen, Map):
            tree = with_environment(tree, chosen)
        elif chosen is SPOILED:
            self.judge = False
        templates = Templates(tree, KEYS, complete=self.read.whole)
        result = Map(tree, tree.spots)
        if isinstance(tree.get("services"), Map):
            result["services"] = templates.services()
        self.read.problems += templates.problems
        cleaned: Map = without_nulls(result)
        return cleaned

    def _judged(
        self, fleet: Fleet, spoiled: set[Path], missing: list[Diagnostic], places: Places, sources: Sources
    ) -> list[Diagnostic]:
        """What is missing, and what the rules say, without what merely follows from problems told already."""
        if not self.judge or not self.read.texts:
            return []
        found = [finding for finding in rules.findings(fleet) if not _follows(finding, spoiled, whole=self.read.whole)]
        # Of a file that was not read to its end, nothing can be missing.
        missing = [self._placed(problem) for problem in missing if problem.place or self.read.whole]
        return missing + [_diagnostic(finding, places, sources) for finding in found]

    def _placed(self, problem: Diagnostic) -> Diagnostic:
        """What is missing from the whole fleet is missing at the beginning of its first file."""
        start = Place(file=next(iter(self.read.texts)), line=1, column=1)
        return problem if problem.place else replace(problem, place=start)


def _follows(finding: Finding, spoiled: set[Path], *, whole: bool) -> bool:
    if finding.among and (not whole or (finding.among,) in spoiled):
        return True
    rests = (finding.path, *finding.relies)
    return any(_related(path, bad) for path in rests for bad in spoiled)


def _related(path: Path, bad: Path) -> bool:
    length = min(len(path), len(bad))
    return path[:length] == bad[:length]


def _diagnostic(finding: Finding, places: Mapping[Path, Place], sources: Mapping[str, str]) -> Diagnostic:
    def place(path: Path, *, key: bool = False) -> Place | None:
        return places.nearest(path, key=key) if isinstance(places, Places) else places.get(path)

    at = place(finding.path, key=finding.about_key)
    others = [place(path, key=finding.about_key) for path in finding.related]
    found = Diagnostic(
        code=finding.code,
        summary=finding.text,
        severity=finding.severity,
        detail=finding.detail,
        place=at,
        hint=finding.hint,
        related=tuple(dict.fromkeys(where for where in others if where and where != at)),
    )
    return _with_source(found, sources)


def _with_source(problem: Diagnostic, sources: Mapping[str, str]) -> Diagnostic:
    line = sources.line(problem.place) if isinstance(sources, Sources) else ""
    return replace(problem, source=line) if line else problem


def _order(problem: Diagnostic) -> tuple[str, int, int, str]:
    where = problem.place
    return (where.file, where.line, where.column, problem.code) if where else ("", 0, 0, problem.code)
