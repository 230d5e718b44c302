"""Refuses instances that no host can take. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from unictl.diagnostics.finding import Finding
from unictl.instances.placement.place import Placement


def unplaceable_instances(planned_names: set[str], placement: Placement) -> Iterator[Finding]:
    """Instances that find no host, on each host with what it lacks, and the smallest change that would help."""
    for shortfall in placement.shortfalls:
        if shortfall.instance in planned_names:
            finding = shortfall.finding
            is_subject_named = shortfall.instance in finding.summary
            prefix = "" if is_subject_named else f"{shortfall.instance} cannot be on {shortfall.host}: "
            hint = placement.smallest_changes.get(shortfall.instance) or finding.hint
            yield replace(finding, summary=prefix + finding.summary, hint=hint)
