"""Refuses plans whose steps need software that a host does not have. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from unictl.diagnostics.finding import Finding
from unictl.hypervisors.drivers import DRIVERS
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.model.payloads import IngressData, LaunchData
from unictl.plan.model.step import StepKind


def missing_capabilities(draft: PlanDraft) -> Iterator[Finding]:
    """What a host lacks of what its steps need."""
    context, rollout = draft.context, draft.rollout
    steps = rollout.builder.steps()
    needed_codes: defaultdict[str, set[str]] = defaultdict(set)
    for step in steps:
        if isinstance(step.data, LaunchData):
            needed_codes[step.host] |= _launch_codes(step.data.document)
        if step.kind is StepKind.JOIN and any(step.data_as(IngressData).services.values()):
            needed_codes[step.host].add("no-haproxy")
    for host, codes in sorted(needed_codes.items()):
        for capability in context.surveys[host].missing_capabilities:
            if capability.code in codes:
                hint = capability.hint or (
                    f"install it, or set `ingress: false` on {host}" if "haproxy" in capability.code else ""
                )
                yield Finding(
                    path=("hosts", host), code=capability.code, summary=f"{host}: {capability.text}", hint=hint
                )


def _launch_codes(document: Mapping[str, Any]) -> set[str]:
    """The codes of what a host must not lack to run a launch document: its hypervisor."""
    driver = DRIVERS.get(document["run"]["hypervisor"])
    return {driver.missing_code} if driver else set()
