"""Chooses what supervises the instances of a fleet on this host: systemd where it can, else a daemon of our own.

Chosen once for each request, by whoever changes something; nothing else asks which of the two it is. Only the holder
of a lease may choose one, for it may start a daemon.
"""

from __future__ import annotations

from ..systemd import units
from .detached_supervisor import DetachedSupervisor
from .systemd_supervisor import SystemdSupervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ..ingress.haproxy import IngressPaths
    from ..storage.fenced_store import FencedStore

    class Supervisor(Protocol):
        """Starts, stops and keeps what one fleet runs on this host."""

        @property
        def root(self) -> FencedStore:
            """The store, behind the fence of the lease."""

        def start_daemon(self) -> None:
            """Have a daemon there soon, for what will be asked of it; a problem is told when it is asked."""

        def resume(self) -> None:
            """Start a daemon where something runs, or waits to run again, without one; of this very code."""

        def start(self, keys: list[str]) -> dict[str, Any]:
            """Have these started; key -> {ok, problem?}."""

        def stop(self, key: str, grace: int) -> None:
            """Have it stopped, and any restart forgotten; returns when it is gone, and its unit with it."""

        def watch_ingress(self) -> None:
            """Have the ingress looked after as it is now; no change of it fails because that cannot be."""

        def start_ingress(self, paths: IngressPaths, old_pids: list[int], handover: bool) -> None:
            """Start HAProxy, or its successor beside the current one; returns when it listens."""

        def disable_ingress(self, paths: IngressPaths) -> None:
            """Have the ingress not started at boot any more."""

        def forget_ingress(self, paths: IngressPaths) -> None:
            """Remove what would start the ingress again."""

        def forget_daemon(self) -> None:
            """Remove what would start the daemon again."""

        def collect_garbage(self) -> None:
            """Remove what is left of what was forgotten."""


def choose(root: FencedStore, owner: str) -> Supervisor:
    """The supervisor of a fleet in this store."""
    return SystemdSupervisor(root, owner) if units.available() else DetachedSupervisor(root, owner)
