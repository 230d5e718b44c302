"""Warns when services lose their last health check. Pure.

Removing a check changes no instance, and no ingress that does not use it. Only what hosts recorded shows it.
"""

from collections import defaultdict
from collections.abc import Iterator

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Service
from unictl.fleet.names import listed
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import Situation
from unictl.plan.context.scope import Scope


def kinds(service: Service) -> tuple[str, ...]:
    """The kinds of its checks, as hosts note them."""
    return tuple(probe.kind for probe in service.health)


def differ(service: Service, live: LiveInstance) -> bool:
    """Whether the host knows of checks where the service has none any more, or of none where it has some now."""
    return service.kind != "job" and live.checks is not None and bool(live.checks) != bool(service.health)


def removed(s: Situation, about: Scope) -> Iterator[Finding]:
    """Services that lose their last check while something of them runs: from now on a guest that hangs is healthy."""
    if s.options.destroy:
        return
    had: defaultdict[str, set[str]] = defaultdict(set)
    for wished in s.wished:
        service = s.service(wished)
        if not service.health and about.wished(wished):
            for live in s.lives.get(wished.name, ()):
                had[wished.service].update(live.checks if differ(service, live) and live.checks else ())
    names = sorted(name for name, gone in had.items() if gone)
    if names:
        whose, verb = ("their", "lose") if len(names) > 1 else ("its", "loses")
        what = listed(sorted(set().union(*had.values())))
        yield Finding(
            path=("services", names[0]),
            code="check-removed",
            text=f"{listed(names)} {verb} {whose} last health check ({what}): a guest that hangs counts as healthy "
            "then, and so does a new one that never answers",
            hint="give it a `health:` again; `policy.require_health: true` refuses a plan without",
            severity=Severity.WARNING,
        )
