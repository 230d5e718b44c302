"""Replaces ``${var.X}`` and ``${fleet.name}`` everywhere in a tree. Other references stay.

In ``args`` and ``environment`` of services a text may hold every reference, so it stays in its canonical form;
elsewhere only what can be replaced here is allowed, and ``$${`` becomes ``${``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from unictl.declaration.scalars import resolve_scalar
from unictl.declaration.source_tree import INVALID, List, LooseText, Map, Node, Spot
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Place
from unictl.fleet.names import closest_match, join_names
from unictl.fleet.references import Reference, canonical_text, find_reference_spans, parse_text, substitute_references

_TEMPLATE_KEYS = ("args", "environment")
_LITERAL_SECTIONS = ("fleet", "include", "variables", "environments", "default_env")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """``text`` for use within a text, ``value`` where it is all there is; ``is_valid`` is False after an error."""

    text: str
    value: Node
    is_valid: bool = True


def read_variables(tree: Map, problems: list[Diagnostic]) -> dict[str, Variable]:
    """The variables of one level."""
    variables = tree.get("variables")
    if not isinstance(variables, Map):
        return {}
    variables_by_name = {}
    for name, value in variables.items():
        spot = variables.spots[name][1]
        if isinstance(value, str) and "${" in value.replace("$${", ""):
            hint = "Write the value out; $${ is a literal ${."
            summary = f"the variable {name!r} holds a reference, and references do not nest"
            problems.append(Diagnostic(code="bad-reference", summary=summary, hint=hint, place=spot.place))
            variables_by_name[name] = _make_variable(INVALID, spot)
        elif value is not None:
            variables_by_name[name] = _make_variable(value, spot)
    return variables_by_name


def _make_variable(value: Node, spot: Spot) -> Variable:
    if isinstance(value, str):
        text = value.replace("$${", "${")
        return Variable(text=text, value=text)
    is_valid = isinstance(value, int | float)
    return Variable(text=spot.written or "", value=value, is_valid=is_valid)


def apply_overrides(
    variables: dict[str, Variable], overrides: Mapping[str, str], problems: list[Diagnostic]
) -> dict[str, Variable]:
    """``variables`` with what the command line says; naming one that no file declares is a problem."""
    result = dict(variables)
    for name, text in overrides.items():
        if name not in variables:
            suggestion = closest_match(name, variables)
            hint = f"Did you mean {suggestion}?" if suggestion else f"Declared: {join_names(variables) or 'none'}."
            summary = f"-var {name}: the fleet declares no variable {name!r}"
            problems.append(Diagnostic(code="unknown-variable", summary=summary, hint=hint))
            continue
        is_text = isinstance(variables[name].value, str)
        result[name] = Variable(text=text, value=text if is_text else resolve_scalar(text))
    return result


@dataclass(slots=True)
class Substitution:
    """One pass over one level of a tree: the fleet itself, or one environment."""

    variables: Mapping[str, Variable]
    fleet: str
    problems: list[Diagnostic]
    report_unknown: bool = True

    def substitute_level(self, tree: Map) -> Map:
        """``source_tree`` with everything replaced; what does not change is the same object."""
        return self._with_members(
            tree, {key: self._substitute_section(key, value, tree.spots[key][1]) for key, value in tree.items()}
        )

    def _substitute_section(self, key: str, value: Node, spot: Spot) -> Node:
        if key in _LITERAL_SECTIONS:
            return value
        if key in ("services", "templates") and isinstance(value, Map):
            return self._with_members(
                value, {name: self._substitute_service(entry, value.spots[name][1]) for name, entry in value.items()}
            )
        return self._substitute_service(value, spot) if key == "defaults" else self._substitute_node(value, spot)

    def _substitute_service(self, entry: Node, spot: Spot) -> Node:
        if not isinstance(entry, Map):
            return self._substitute_node(entry, spot)
        members = {
            key: self._substitute_node(member, entry.spots[key][1], key in _TEMPLATE_KEYS)
            for key, member in entry.items()
        }
        return self._with_members(entry, members)

    def _with_members(self, tree: Map, members: Mapping[str, Node]) -> Map:
        is_unchanged = all(tree[key] is value for key, value in members.items())
        return tree if is_unchanged else Map(members, tree.spots)

    def _substitute_node(self, value: Node, spot: Spot, texts: bool = False) -> Node:
        if isinstance(value, str):
            return self._substitute_text(value, spot, texts) if "${" in value else value
        if isinstance(value, Map):
            return self._with_members(
                value, {key: self._substitute_node(member, value.spots[key][1], texts) for key, member in value.items()}
            )
        if isinstance(value, List):
            members = [
                self._substitute_node(member, member_spot, texts)
                for member, member_spot in zip(value, value.spots, strict=True)
            ]
            if all(new_member is old_member for new_member, old_member in zip(members, value, strict=True)):
                return value
            result = List()
            result.extend(members)
            result.spots = value.spots
            return result
        return value

    def _substitute_text(self, text: str, spot: Spot, texts: bool) -> Node:
        # All of them are judged: what is wrong with one hides nothing of the others.
        usable = [
            self._is_usable(reference, _place_within(spot, text, start, end), texts)
            for start, end, reference in find_reference_spans(text)
        ]
        if not all(usable):
            return INVALID
        parts = parse_text(text)
        if len(parts) == 1 and isinstance(parts[0], Reference) and parts[0].kind == "var" and not texts:
            variable = self.variables[parts[0].name]
            return LooseText.of(variable.text, variable.value)
        substituted = substitute_references(parts, self._reference_value)
        return canonical_text(substituted) if texts else "".join(str(part) for part in substituted)

    def _reference_value(self, reference: Reference) -> str | None:
        match reference.kind:
            case "var":
                return self.variables[reference.name].text
            case "fleet":
                return self.fleet
            case _:
                return None

    def _is_usable(self, reference: Reference | str, place: Place, texts: bool) -> bool:
        if isinstance(reference, str):
            self._report("bad-reference", place, reference)
            return False
        if reference.kind == "var":
            return self._is_declared(reference.name, place)
        if reference.kind != "fleet" and not texts:
            hint = "Those that depend on instances, hosts and secrets stand in `args` and `environment` only."
            self._report("bad-reference", place, f"{reference} cannot be used here", hint)
            return False
        return True

    def _is_declared(self, name: str, place: Place) -> bool:
        variable = self.variables.get(name)
        if variable is None and self.report_unknown:
            suggestion = closest_match(name, self.variables)
            hint = f"Did you mean ${{var.{suggestion}}}?" if suggestion else "Declare it under `variables`."
            self._report("unknown-variable", place, f"there is no variable {name!r}", hint)
        return variable is not None and variable.is_valid

    def _report(self, code: str, place: Place, summary: str, hint: str = "") -> None:
        self.problems.append(Diagnostic(code=code, summary=summary, hint=hint, place=place))


def _place_within(spot: Spot, text: str, start: int, end: int) -> Place:
    """Where a part of ``text`` stands, if it is written in one line as it is read, with or without quotes."""
    quotes = (spot.end or 0) - spot.column - len(text)
    if quotes not in (0, 2):
        return spot.place
    first = spot.column + quotes // 2
    return Place(file=spot.file, line=spot.line, column=first + start, end_column=first + end)
