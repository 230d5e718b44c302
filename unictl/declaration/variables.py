"""Replaces ``${var.X}`` and ``${fleet.name}`` everywhere in a tree. Other references stay.

In ``args`` and ``environment`` of services a text may hold every reference, so it stays in its canonical form;
elsewhere only what can be replaced here is allowed, and ``$${`` becomes ``${``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unictl.declaration.scalars import resolve
from unictl.declaration.source_tree import SPOILED, List, Loose, Map, Spot
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Place
from unictl.fleet.names import closest, listed
from unictl.fleet.references import Reference, canonical, parse, spans, substitute

_TEXTS = ("args", "environment")
_LITERAL = ("fleet", "include", "variables", "environments", "default_env")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """``text`` for use within a text, ``value`` where it is all there is; ``known`` is False after an error."""

    text: str
    value: Any
    known: bool = True


def declared(tree: Map, problems: list[Diagnostic]) -> dict[str, Variable]:
    """The variables of one level."""
    variables = tree.get("variables")
    if not isinstance(variables, Map):
        return {}
    found = {}
    for name, value in variables.items():
        spot = variables.spots[name][1]
        if isinstance(value, str) and "${" in value.replace("$${", ""):
            hint = "Write the value out; $${ is a literal ${."
            summary = f"the variable {name!r} holds a reference, and references do not nest"
            problems.append(Diagnostic(code="bad-reference", summary=summary, hint=hint, place=spot.place))
            found[name] = _variable(SPOILED, spot)
        elif value is not None:
            found[name] = _variable(value, spot)
    return found


def _variable(value: Any, spot: Spot) -> Variable:
    if isinstance(value, str):
        text = value.replace("$${", "${")
        return Variable(text=text, value=text)
    known = isinstance(value, int | float)
    return Variable(text=spot.written or "", value=value, known=known)


def overridden(
    variables: dict[str, Variable], overrides: Mapping[str, str], problems: list[Diagnostic]
) -> dict[str, Variable]:
    """``variables`` with what the command line says; naming one that no file declares is a problem."""
    result = dict(variables)
    for name, text in overrides.items():
        if name not in variables:
            near = closest(name, variables)
            hint = f"Did you mean {near}?" if near else f"Declared: {listed(variables) or 'none'}."
            summary = f"-var {name}: the fleet declares no variable {name!r}"
            problems.append(Diagnostic(code="unknown-variable", summary=summary, hint=hint))
            continue
        quoted = isinstance(variables[name].value, str)
        result[name] = Variable(text=text, value=text if quoted else resolve(text))
    return result


@dataclass(slots=True)
class Substitution:
    """One pass over one level of a tree: the fleet itself, or one environment."""

    variables: Mapping[str, Variable]
    fleet: str
    problems: list[Diagnostic]
    judge_unknown: bool = True

    def level(self, tree: Map) -> Map:
        """``tree`` with everything replaced; what does not change is the same object."""
        return self._members(tree, {key: self._section(key, value, tree.spots[key][1]) for key, value in tree.items()})

    def _section(self, key: str, value: Any, spot: Spot) -> Any:
        if key in _LITERAL:
            return value
        if key in ("services", "templates") and isinstance(value, Map):
            return self._members(
                value, {name: self._service(entry, value.spots[name][1]) for name, entry in value.items()}
            )
        return self._service(value, spot) if key == "defaults" else self._node(value, spot)

    def _service(self, entry: Any, spot: Spot) -> Any:
        if not isinstance(entry, Map):
            return self._node(entry, spot)
        members = {key: self._node(below, entry.spots[key][1], key in _TEXTS) for key, below in entry.items()}
        return self._members(entry, members)

    def _members(self, tree: Map, members: dict[str, Any]) -> Map:
        same = all(tree[key] is value for key, value in members.items())
        return tree if same else Map(members, tree.spots)

    def _node(self, value: Any, spot: Spot, texts: bool = False) -> Any:
        if isinstance(value, str):
            return self._text(value, spot, texts) if "${" in value else value
        if isinstance(value, Map):
            return self._members(value, {key: self._node(v, value.spots[key][1], texts) for key, v in value.items()})
        if isinstance(value, List):
            members = [self._node(v, at, texts) for v, at in zip(value, value.spots, strict=True)]
            if all(new is old for new, old in zip(members, value, strict=True)):
                return value
            result = List()
            result.extend(members)
            result.spots = value.spots
            return result
        return value

    def _text(self, text: str, spot: Spot, texts: bool) -> Any:
        # All of them are judged: what is wrong with one hides nothing of the others.
        possible = [self._possible(found, _within(spot, text, a, b), texts) for a, b, found in spans(text)]
        if not all(possible):
            return SPOILED
        parts = parse(text)
        if len(parts) == 1 and isinstance(parts[0], Reference) and parts[0].kind == "var" and not texts:
            variable = self.variables[parts[0].name]
            return Loose.of(variable.text, variable.value)
        settled = substitute(parts, self._known)
        return canonical(settled) if texts else "".join(str(part) for part in settled)

    def _known(self, reference: Reference) -> str | None:
        match reference.kind:
            case "var":
                return self.variables[reference.name].text
            case "fleet":
                return self.fleet
            case _:
                return None

    def _possible(self, reference: Reference | str, place: Place, texts: bool) -> bool:
        if isinstance(reference, str):
            self._tell("bad-reference", place, reference)
            return False
        if reference.kind == "var":
            return self._declared(reference.name, place)
        if reference.kind != "fleet" and not texts:
            hint = "Those that depend on instances, hosts and secrets stand in `args` and `environment` only."
            self._tell("bad-reference", place, f"{reference} cannot be used here", hint)
            return False
        return True

    def _declared(self, name: str, place: Place) -> bool:
        variable = self.variables.get(name)
        if variable is None and self.judge_unknown:
            near = closest(name, self.variables)
            hint = f"Did you mean ${{var.{near}}}?" if near else "Declare it under `variables`."
            self._tell("unknown-variable", place, f"there is no variable {name!r}", hint)
        return variable is not None and variable.known

    def _tell(self, code: str, place: Place, summary: str, hint: str = "") -> None:
        self.problems.append(Diagnostic(code=code, summary=summary, hint=hint, place=place))


def _within(spot: Spot, text: str, start: int, end: int) -> Place:
    """Where a part of ``text`` stands, if it is written in one line as it is read, with or without quotes."""
    quotes = (spot.end or 0) - spot.column - len(text)
    if quotes not in (0, 2):
        return spot.place
    first = spot.column + quotes // 2
    return Place(file=spot.file, line=spot.line, column=first + start, end_column=first + end)
