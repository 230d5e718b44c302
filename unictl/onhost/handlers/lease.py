"""Takes and releases the lease of a fleet on this host, and ends a process that holds it."""

from __future__ import annotations

import os
import time

from .. import errors
from ..lease import fleet_lease
from ..lease.lease_holder import lease_path
from ..storage import atomic, fence, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext


def acquire(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """Take the lease, waiting at most ``wait`` seconds, and sweep what killed runs left."""
    owner = layout.safe_component(request["owner"])
    if context.lease is not None and context.lease.open and context.lease.owner == owner:
        return {"token": context.lease.token}
    descriptor = fleet_lease.wait_for_lock(root, owner, float(request.get("wait", 0)), context)
    try:
        token = fleet_lease.advance_token(root, owner)
        lease = fleet_lease.Lease(owner, token, descriptor, root)
        fleet_lease.announce_holder(root, owner, token, request.get("holder") or {})
        fleet_lease.register_fleet(lease.root, request)
        context.connection.lease = lease
    except BaseException:
        os.close(descriptor)
        raise
    fleet_lease.sweep_leftovers(lease.root, owner)
    from ..supervision import supervisor

    supervisor.choose(lease.root, owner).resume()
    return {"token": token}


def release(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """Give the lease back; without one, nothing happens."""
    lease = context.lease
    if lease is not None and lease.owner == request["owner"]:
        atomic.remove_file(lease_path(root, lease.owner) + ".holder")
        lease.close()
        context.connection.lease = None
    return {}


def end_holder(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """End the process that holds the lease (stopped, or hanging), by pid and start time."""
    owner = layout.safe_component(request["owner"])
    path = lease_path(root, owner)
    if not locks.is_locked(path):
        return {"ended": False}
    # First, so that whoever is ended finds by the token that the lease was not its own all the time.
    fleet_lease.advance_token(root, owner)
    if not fleet_lease.end_holder_process(path) and locks.is_locked(path):
        raise errors.HostError(
            "not-found", f"the lease of fleet {owner} is held by a helper of a process that is gone", "wait a moment"
        )
    deadline = time.monotonic() + fence.RELEASE_TIMEOUT
    while locks.is_locked(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    return {"ended": not locks.is_locked(path)}
