"""Read the secrets that new instances of a plan need, and report those that cannot be read."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from unictl.diagnostics.diagnostic import Problems, Severity
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath, Place
from unictl.diagnostics.resolve import PlaceTable, resolve_findings
from unictl.fleet.model import Secret
from unictl.plan.model.payloads import LaunchData
from unictl.plan.model.plan import Plan
from unictl.secrets.secret_values import SecretValues, read_secrets


def read_plan_secrets(plan: Plan, environment: Mapping[str, str]) -> SecretValues:
    """Every secret that something new is to be told, on the way forth or back."""
    needed_names = {name for step in plan.steps if isinstance(step.data, LaunchData) for name in step.data.secrets}
    needed_names |= {name for wave in plan.waves for instance in wave.rollback.relaunch for name in instance.secrets}
    sources = plan.facts.secrets
    needed_secrets = {
        name: Secret(name=name, env=sources[name].env, file=sources[name].file) for name in sorted(needed_names)
    }
    return read_secrets(needed_secrets, environment, Path(plan.facts.folder))


def unreadable_secrets(plan: Plan, unread: Iterable[Finding], severity: Severity, suffix: str = "") -> Problems:
    """What is said of those that cannot be read, each with its name and its place in the fleet file."""
    findings = (
        replace(finding, severity=severity, summary=f"secret {finding.path[-1]}: {finding.summary}{suffix}")
        for finding in unread
    )
    return resolve_findings(findings, _recorded_places(plan.facts.places))


def _recorded_places(recorded: Mapping[str, str]) -> PlaceTable:
    """The places that a plan carries along: a saved one has no files."""
    places: dict[DocumentPath, Place] = {}
    for path, text in recorded.items():
        file, _, numbers = text.partition(":")
        line, _, column = numbers.partition(":")
        if column:
            places[tuple(path.split("."))] = Place(file=file, line=int(line), column=int(column))
    return PlaceTable(places)
