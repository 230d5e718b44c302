"""The lease of a fleet on a host: one writer, released when its process dies. Also sweeps what killed runs left
behind.

The lock file is outside the fleet's directory, so that nothing ever unlinks it. The holder's details are written
after the lock is taken, for people; readers believe them only while the lock is held. The token rises with every
acquisition and orders the ledger. A holder that hears from its control side writes a heartbeat (the monotonic
clock) into the lock file; a process that wants the lease kills a holder whose heartbeat is too old. Everything a
holder changes is fenced (see ``fence``) by the store that comes with the lease (``fenced_store``).
"""

from __future__ import annotations

import os
import signal
import time

from .. import errors
from ..platform import processes
from ..protocol import frames
from ..storage import atomic, fence, fenced_store, fleet_names, layout, locks
from .lease_holder import current_holder, find_leftovers, lease_path, read_holder, silent_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext

STALE_AFTER = 30.0
"""Seconds without a beat after which a holder is ended by whoever wants its lease."""
BEAT_INTERVAL = 2.0
"""Seconds between two beats, at least."""
POLL_PAUSES = (0.02, 0.25)
"""Seconds between two tries while waiting: first, and at most."""


class Lease:
    """One held lease. Open as long as ``descriptor`` is, and until a check finds that another was given out.

    ``root`` is the store as its holder may change it.
    """

    def __init__(self, owner: str, token: int, descriptor: int, root: layout.StoreLayout):
        self.owner = owner
        self.token = token
        self.descriptor = descriptor
        self._fence = fence.LeaseFence(owner, token_path(root, owner), token)
        self.root = fenced_store.FencedStore(root.path, self._fence)
        self._beaten = 0.0
        self.beat()

    def beat(self) -> None:
        """Say that this holder lives; not more often than it must."""
        timestamp = time.monotonic()
        if self.descriptor >= 0 and timestamp - self._beaten >= BEAT_INTERVAL:
            self._beaten = timestamp
            try:
                os.pwrite(self.descriptor, b"%020.3f" % timestamp, 0)
            except OSError:
                # Nobody ends a holder of which no beat is known: better too long than the wrong one.
                return

    def check(self) -> None:
        """A ``lost-lease`` Problem where it was given to another, and then it is closed."""
        try:
            with self._fence.enter():
                return
        except errors.HostError:
            self.close()
            raise

    @property
    def open(self) -> bool:
        """Whether it is still held."""
        return self.descriptor >= 0

    def close(self) -> None:
        """Give it back; twice is fine. Nothing is changed under it from here on."""
        self._fence.closed = True
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def require(request: dict[str, Any], context: RequestContext) -> Lease:
    """The lease that a mutating message needs; a ``lost-lease`` Problem without."""
    lease: Lease | None = context.lease
    if lease is None or not lease.open or lease.owner != request["owner"]:
        raise errors.HostError(
            "lost-lease",
            f"this connection does not hold the lease of fleet {request['owner']}",
            "run the same command again",
        )
    lease.check()
    return lease


def sweep_leftovers(root: fenced_store.FencedStore, owner: str) -> int:
    """Remove what killed runs of this fleet left aside; how many there were. Only under the lease."""
    paths = find_leftovers(root, owner)
    for path in paths:
        root.remove_tree(path)
    return len(paths)


def wait_for_lock(root: layout.StoreLayout, owner: str, max_wait: float, context: RequestContext) -> int:
    deadline, pause = time.monotonic() + max_wait, POLL_PAUSES[0]
    while True:
        descriptor = locks.take(lease_path(root, owner))
        if descriptor is not None:
            return descriptor
        if silent_seconds(lease_path(root, owner)) > STALE_AFTER and end_holder_process(lease_path(root, owner)):
            deadline = max(deadline, time.monotonic() + fence.RELEASE_TIMEOUT)
        if time.monotonic() + pause > deadline:
            raise _busy_error(root, owner)
        if context.cancelled.wait(pause):
            raise errors.HostError("cancelled", "waiting for the lease was cancelled")
        pause = min(pause * 2, POLL_PAUSES[1])


def end_holder_process(path: str) -> bool:
    """End the process that says it holds a lease, by pid and start time; False where it is gone already."""
    holder_record = read_holder(path)
    return processes.send_signal(holder_record.get("pid", 0), holder_record.get("ticks"), signal.SIGKILL)


def _busy_error(root: layout.StoreLayout, owner: str) -> errors.HostError:
    holder_record = current_holder(root, owner) or {}
    user = holder_record.get("user") or "somebody"
    start_time = (
        time.strftime("%H:%M:%S UTC", time.gmtime(holder_record["since"])) if holder_record.get("since") else "just now"
    )
    name = fleet_names.current_name(root, owner)
    activity = holder_record.get("doing") or "working"
    text = f"fleet {name} is being changed by {user} ({activity}) since {start_time}"
    if holder_record.get("process") == "T":
        return errors.HostError("busy", text + "; that process is stopped", "end it with `unictl locks -end-holder`")
    return errors.HostError("busy", text, "wait for it to end, or use -lock-timeout")


def token_path(root: layout.StoreLayout, owner: str) -> str:
    """Where the token in force lies."""
    return lease_path(root, owner) + ".token"


def advance_token(root: layout.StoreLayout, owner: str) -> int:
    return fence.advance_token(token_path(root, owner), lambda: end_holder_process(lease_path(root, owner)))


def announce_holder(root: layout.StoreLayout, owner: str, token: int, holder_info: dict[str, Any]) -> None:
    document = {key: holder_info.get(key, "") for key in ("user", "revision", "doing")}
    document.update(pid=os.getpid(), ticks=processes.start_ticks(os.getpid()), since=time.time(), token=token)
    try:
        atomic.write_in_place(lease_path(root, owner) + ".holder", frames.encode_json(document), sync=False)
    except errors.HostError:
        # For people only: not worth a sync, and a full disk keeps no holder out.
        return


def register_fleet(root: fenced_store.FencedStore, request: dict[str, Any]) -> None:
    """The fleet's folder and who it is: mark and id, so that namesakes are told apart."""
    fleet_directory = root.fleet(request["owner"])
    for directory in (
        fleet_directory,
        fleet_directory + "/instances",
        fleet_directory + "/retired",
        fleet_directory + "/volumes",
        fleet_directory + "/pinned-images",
    ):
        atomic.make_dirs(directory)
    # One that is there under its former name keeps it until all else that the apply does here is done.
    if not fleet_names.read_identity(root, request["owner"]).get("mark"):
        fleet_names.rename(root, request["owner"], {"mark": request.get("mark", ""), "id": request.get("id", "")})
