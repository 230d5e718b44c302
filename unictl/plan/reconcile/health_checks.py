"""Compares the health checks a live instance was started with to those of its service. Pure."""

from unictl.fleet.model import Service
from unictl.instances.observed.host_state import LiveInstance


def probe_kinds(service: Service) -> tuple[str, ...]:
    """The kinds of its checks, as hosts note them."""
    return tuple(probe.kind for probe in service.health)


def presence_differs(service: Service, live: LiveInstance) -> bool:
    """Whether the host knows of checks where the service has none any more, or of none where it has some now."""
    return service.kind != "job" and live.checks is not None and bool(live.checks) != bool(service.health)
