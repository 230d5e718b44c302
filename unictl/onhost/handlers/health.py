"""Runs the health checks of one instance once, or waits until they pass."""

from __future__ import annotations

from .. import errors
from ..health import health_gate
from ..storage import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext


def await_healthy(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """Wait until every probe has passed without a break for ``min_healthy_time``, at most ``healthy_deadline`` (ms); of
    a ``job``, until it has ended well."""
    gate = health_gate.JobGate(root, request) if request.get("job") else health_gate.HealthGate(root, request)
    while True:
        reason = gate.failure_reason()
        if reason or gate.is_overdue():
            return gate.build_reply(False, reason or gate.timeout_message())
        gate.run_checks()
        if gate.is_proven():
            return gate.build_reply(True, gate.success_message())
        if context.cancelled.wait(gate.next_pause()):
            raise errors.HostError("cancelled", f"waiting for {gate.key} to be healthy was cancelled")


def check_health(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """One round of the checks now: {healthy, why}."""
    gate = health_gate.HealthGate(root, request)
    reason = gate.failure_reason()
    if not reason and gate.instance_state["state"] == "begun":
        reason = "it was never started"
    failures = [] if reason else [probe.message for probe in gate.probes if not probe.check(probe.timeout)]
    return {"healthy": not (reason or failures), "why": reason or "; ".join(failures) or gate.success_message()}
