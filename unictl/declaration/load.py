"""Entry point of this package: texts of fleet files -> Fleet, problems and places."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from unictl.declaration import decode, includes, schema, variables
from unictl.declaration.decode_service import SERVICE_KEYS
from unictl.declaration.includes import IncludedFiles
from unictl.declaration.json_schema import SchemaNode
from unictl.declaration.merge import Templates, with_environment, without_nulls
from unictl.declaration.source_tree import INVALID, Map, Places, with_document_value
from unictl.diagnostics.diagnostic import Diagnostic, Problems, errors
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath, Place
from unictl.diagnostics.resolve import resolve_findings, with_source_lines
from unictl.diagnostics.sources import Sources
from unictl.fleet import rules
from unictl.fleet.model import Fleet
from unictl.fleet.names import closest_match, describe_existing

_NO_VARIABLES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What came of loading. ``fleet`` is None exactly when ``problems`` holds an error.

    ``places`` maps a path of the *merged* tree to where it was written, e.g. ``("services", "api", "args", 0)``;
    ``files`` are the files that were read, in order; ``sources`` their texts; ``environments`` the names of all
    environments that the fleet declares.
    """

    fleet: Fleet | None
    problems: Problems
    places: Places
    files: tuple[str, ...]
    sources: Sources
    environments: tuple[str, ...] = ()


def load_fleet(
    files: Mapping[str, str],
    *,
    schema: SchemaNode,
    environment: str = "",
    variables: Mapping[str, str] = _NO_VARIABLES,
    entry: str = "fleet.yaml",
) -> LoadResult:
    """The fleet that ``entry`` and its includes declare, for one environment; never raises for what a file holds.

    ``files`` may read lazily: its keys are all paths of the folder, and only what is needed is asked for.
    """
    with _without_garbage_collection():
        return _FleetLoader(includes.gather_files(files, entry), schema, environment, variables).load()


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Nothing made here is garbage before it is done, and looking for some takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(slots=True)
class _FleetLoader:
    """One load: the steps share the problems found so far, and none of them stops at the first."""

    gathered: IncludedFiles
    schema: SchemaNode
    environment: str
    overrides: Mapping[str, str]
    can_check_rules: bool = True

    def load(self) -> LoadResult:
        names = self._environment_names()
        self._choose_environment(names)
        tree, schema_problems = schema.check_tree(self._substitute_variables(), self.schema)
        self.gathered.problems += schema_problems
        for truncated_path in filter(None, self.gathered.truncated_entries):
            tree = with_document_value(tree, truncated_path, INVALID)
        merged = self._merge_layers(tree)
        fleet, reader = decode.decode_fleet(merged, self.environment)
        sources, places = Sources(self.gathered.texts), Places(merged)
        problems = self.gathered.problems + self._check_rules(
            fleet, reader.invalid_paths, reader.problems, places, sources
        )
        sorted_problems = tuple(sorted(with_source_lines(problems, sources), key=_sort_key))
        return LoadResult(
            fleet=None if errors(sorted_problems) else fleet,
            problems=tuple(dict.fromkeys(sorted_problems)),
            places=places,
            files=tuple(self.gathered.texts),
            sources=sources,
            environments=names,
        )

    def _environment_names(self) -> tuple[str, ...]:
        declared = self.gathered.tree.get("environments")
        return tuple(sorted(declared)) if isinstance(declared, Map) else ()

    def _choose_environment(self, names: tuple[str, ...]) -> None:
        """The environment asked for, or the default; a fleet with environments is nothing without one."""
        requested, spot = self.environment, None
        default = self.gathered.tree.get("default_env")
        if not requested and isinstance(default, str):
            requested, spot = default, self.gathered.tree.spots["default_env"][1]
        if requested and requested not in names:
            suggestion = closest_match(requested, names)
            hint = (
                f"Did you mean {suggestion}?" if suggestion else describe_existing(names) or "The fleet declares none."
            )
            self.gathered.report("unknown-environment", spot, f"there is no environment {requested!r}", hint)
        elif not requested and names:
            hint = f"Choose one with `-env`: {', '.join(names)}. Or set `default_env`."
            spot = self.gathered.tree.spots["environments"][0]
            self.gathered.report("environment-needed", spot, "the fleet has environments, and none is chosen", hint)
        self.can_check_rules = requested in names or not (requested or names)
        self.environment = requested if requested in names else ""

    def _substitute_variables(self) -> Map:
        tree, problems = self.gathered.tree, self.gathered.problems
        base = variables.read_variables(tree, problems)
        environments = tree.get("environments")
        levels = (
            {name: level for name, level in environments.items() if isinstance(level, Map)}
            if isinstance(environments, Map)
            else {}
        )
        variables_by_level = {name: base | variables.read_variables(level, problems) for name, level in levels.items()}
        chosen = variables.apply_overrides(variables_by_level.get(self.environment, base), self.overrides, problems)
        result = self._substitute_level(tree, chosen, report_unknown=self.can_check_rules)
        for name, level in levels.items():
            level_variables = chosen if name == self.environment else variables_by_level[name]
            levels[name] = self._substitute_level(level, level_variables, report_unknown=True)
        if isinstance(environments, Map) and any(environments[name] is not level for name, level in levels.items()):
            result = Map(result, result.spots)
            result["environments"] = Map({**environments, **levels}, environments.spots)
        return result

    def _substitute_level(
        self, tree: Map, level_variables: Mapping[str, variables.Variable], *, report_unknown: bool
    ) -> Map:
        identity = self.gathered.tree.get("fleet")
        name = identity.get("name") if isinstance(identity, Map) else identity
        return variables.Substitution(
            level_variables, name if isinstance(name, str) else "", self.gathered.problems, report_unknown
        ).substitute_level(tree)

    def _merge_layers(self, tree: Map) -> Map:
        environments = tree.get("environments")
        chosen = environments.get(self.environment) if isinstance(environments, Map) else None
        if isinstance(chosen, Map):
            tree = with_environment(tree, chosen)
        elif chosen is INVALID:
            self.can_check_rules = False
        templates = Templates(tree, SERVICE_KEYS, complete=self.gathered.complete)
        result = Map(tree, tree.spots)
        if isinstance(tree.get("services"), Map):
            result["services"] = templates.build_services()
        self.gathered.problems += templates.problems
        return without_nulls(result)

    def _check_rules(
        self,
        fleet: Fleet,
        invalid_paths: set[DocumentPath],
        missing: list[Diagnostic],
        places: Places,
        sources: Sources,
    ) -> list[Diagnostic]:
        """What is missing, and what the rules say, without what merely follows from problems told already."""
        if not self.can_check_rules or not self.gathered.texts:
            return []
        rule_findings = [
            finding
            for finding in rules.check_fleet(fleet)
            if not _is_consequence(finding, invalid_paths, complete=self.gathered.complete)
        ]
        # Of a file that was not read to its end, nothing can be missing.
        missing = [self._with_default_place(problem) for problem in missing if problem.place or self.gathered.complete]
        return [*missing, *resolve_findings(rule_findings, places, sources)]

    def _with_default_place(self, problem: Diagnostic) -> Diagnostic:
        """What is missing from the whole fleet is missing at the beginning of its first file."""
        start = Place(file=next(iter(self.gathered.texts)), line=1, column=1)
        return problem if problem.place else replace(problem, place=start)


def _is_consequence(finding: Finding, invalid_paths: set[DocumentPath], *, complete: bool) -> bool:
    if finding.searched_section and (not complete or (finding.searched_section,) in invalid_paths):
        return True
    dependencies = (finding.path, *finding.depends_on)
    return any(_overlaps(path, invalid_path) for path in dependencies for invalid_path in invalid_paths)


def _overlaps(path: DocumentPath, other_path: DocumentPath) -> bool:
    length = min(len(path), len(other_path))
    return path[:length] == other_path[:length]


def _sort_key(problem: Diagnostic) -> tuple[str, int, int, str]:
    location = problem.place
    return (location.file, location.line, location.column, problem.code) if location else ("", 0, 0, problem.code)
