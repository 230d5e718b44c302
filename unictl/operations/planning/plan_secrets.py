"""Read the secrets that new instances of a plan need, and report those that cannot be read."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic, Problems, Severity
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Place
from unictl.fleet.model import Secret
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind
from unictl.secrets.secret_values import SecretValues, read_secrets


def read_plan_secrets(plan: Plan, environment: Mapping[str, str]) -> SecretValues:
    """Every secret that something new is to be told, on the way forth or back."""
    needed_names = {name for step in plan.steps if step.kind is StepKind.LAUNCH for name in step.data["secrets"]}
    needed_names |= {name for wave in plan.waves for instance in wave.rollback.relaunch for name in instance.secrets}
    declared_secrets: Mapping[str, Mapping[str, str]] = plan.facts.get("secrets", {})
    needed_secrets = {
        name: Secret(name=name, env=declared_secrets[name]["env"], file=declared_secrets[name]["file"])
        for name in sorted(needed_names)
    }
    return read_secrets(needed_secrets, environment, Path(str(plan.facts["folder"])))


def unreadable_secrets(plan: Plan, unread: Iterable[Finding], severity: Severity, suffix: str = "") -> Problems:
    """What is said of those that cannot be read, each with its name and its place in the fleet file."""
    return tuple(
        Diagnostic(
            code=finding.code,
            severity=severity,
            summary=f"secret {finding.path[-1]}: {finding.summary}{suffix}",
            hint=finding.hint,
            place=_parse_place(plan.facts, ".".join(str(part) for part in finding.path)),
        )
        for finding in unread
    )


def _parse_place(facts: Mapping[str, Any], path: str) -> Place | None:
    file, _, numbers = str(facts.get("places", {}).get(path, "")).partition(":")
    line, _, column = numbers.partition(":")
    return Place(file=file, line=int(line), column=int(column)) if column else None
