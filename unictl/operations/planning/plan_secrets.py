"""Read the secrets that new instances of a plan need, and report those that cannot be read."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic, Problems, Severity
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Place
from unictl.fleet.model import Secret
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Kind
from unictl.secrets.secret_values import Secrets, read_all


def values(plan: Plan, environment: Mapping[str, str]) -> Secrets:
    """Every secret that something new is to be told, on the way forth or back."""
    wanted = {name for step in plan.steps if step.kind is Kind.LAUNCH for name in step.data["secrets"]}
    wanted |= {name for wave in plan.waves for row in wave["undo"]["back"] for name in row["secrets"]}
    known: Mapping[str, Mapping[str, str]] = plan.facts.get("secrets", {})
    named = {name: Secret(name=name, env=known[name]["env"], file=known[name]["file"]) for name in sorted(wanted)}
    return read_all(named, environment, Path(str(plan.facts["folder"])))


def told(plan: Plan, unread: Iterable[Finding], severity: Severity, more: str = "") -> Problems:
    """What is said of those that cannot be read, each with its name and its place in the fleet file."""
    return tuple(
        Diagnostic(
            code=each.code,
            severity=severity,
            summary=f"secret {each.path[-1]}: {each.text}{more}",
            hint=each.hint,
            place=_place(plan.facts, ".".join(str(part) for part in each.path)),
        )
        for each in unread
    )


def _place(facts: Mapping[str, Any], path: str) -> Place | None:
    file, _, numbers = str(facts.get("places", {}).get(path, "")).partition(":")
    line, _, column = numbers.partition(":")
    return Place(file=file, line=int(line), column=int(column)) if column else None
