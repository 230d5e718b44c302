"""The lease of a fleet on a host: one writer, released when its process dies. Also sweeps what killed runs left
behind.

The lock file is outside the fleet's directory, so that nothing ever unlinks it. The holder's details are written
after the
lock is taken, for people; readers believe them only while the lock is held. The token rises with every acquisition
and
orders the ledger. A holder that hears from its control side writes a heartbeat (the monotonic clock) into the lock
file;
a process that wants the lease kills a holder whose heartbeat is too old. Everything a holder changes is fenced (see
``fence``) by the store that comes with the lease (``fenced_store``).
"""

from __future__ import annotations

import os
import signal
import time

from ..platform import processes
from ..protocol import frames
from ..storage import fence, fenced_store, fleet_names, layout, locks
from .lease_holder import holder, lease_path, leftovers, silent, told_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STALE = 30.0
"""Seconds without a beat after which a holder is ended by whoever wants its lease."""
BEAT = 2.0
"""Seconds between two beats, at least."""
POLL = (0.02, 0.25)
"""Seconds between two tries while waiting: first, and at most."""


class Lease:
    """One held lease. Open as long as ``descriptor`` is, and until a check finds that another was given out.

    ``root`` is the store as its holder may change it.
    """

    def __init__(self, owner: str, token: int, descriptor: int, root: layout.Root):
        self.owner = owner
        self.token = token
        self.descriptor = descriptor
        self._fence = fence.Token(owner, token_path(root, owner), token)
        self.root = fenced_store.Writable(root.path, self._fence)
        self._beaten = 0.0
        self.beat()

    def beat(self) -> None:
        """Say that this holder lives; not more often than it must."""
        now = time.monotonic()
        if self.descriptor >= 0 and now - self._beaten >= BEAT:
            self._beaten = now
            try:
                os.pwrite(self.descriptor, b"%020.3f" % now, 0)
            except OSError:
                # Nobody ends a holder of which no beat is known: better too long than the wrong one.
                return

    def check(self) -> None:
        """A ``lost-lease`` Problem where it was given to another, and then it is closed."""
        try:
            with self._fence.passing():
                return
        except frames.Problem:
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


def require(ask: dict[str, Any], call: Any) -> Lease:
    """The lease that a mutating message needs; a ``lost-lease`` Problem without."""
    lease: Lease | None = call.lease
    if lease is None or not lease.open or lease.owner != ask["owner"]:
        raise frames.Problem(
            "lost-lease",
            f"this connection does not hold the lease of fleet {ask['owner']}",
            "run the same command again",
        )
    lease.check()
    return lease


def acquire(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Take the lease, waiting at most ``wait`` seconds, and sweep what killed runs left."""
    owner = layout.part(ask["owner"])
    if call.lease is not None and call.lease.open and call.lease.owner == owner:
        return {"token": call.lease.token}
    descriptor = _wait(root, owner, float(ask.get("wait", 0)), call)
    try:
        token = _raised(root, owner)
        lease = Lease(owner, token, descriptor, root)
        _announce(root, owner, token, ask.get("holder") or {})
        _introduce(lease.root, ask)
        call.connection.lease = lease
    except BaseException:
        os.close(descriptor)
        raise
    sweep(lease.root, owner)
    from ..supervision import supervisor

    supervisor.revive(lease.root, owner)
    return {"token": token}


def release(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Give the lease back; without one, nothing happens."""
    lease = call.lease
    if lease is not None and lease.owner == ask["owner"]:
        layout.remove_file(lease_path(root, lease.owner) + ".holder")
        lease.close()
        call.connection.lease = None
    return {}


def end_holder(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """End the process that holds the lease (stopped, or hanging), by pid and start time."""
    owner = layout.part(ask["owner"])
    path = lease_path(root, owner)
    if not locks.held(path):
        return {"ended": False}
    # First, so that whoever is ended finds by the token that the lease was not its own all the time.
    _raised(root, owner)
    if not _end(path) and locks.held(path):
        raise frames.Problem(
            "not-found", f"the lease of fleet {owner} is held by a helper of a process that is gone", "wait a moment"
        )
    deadline = time.monotonic() + fence.FREED
    while locks.held(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    return {"ended": not locks.held(path)}


def sweep(root: fenced_store.Writable, owner: str) -> int:
    """Remove what killed runs of this fleet left aside; how many there were. Only under the lease."""
    left = leftovers(root, owner)
    for path in left:
        root.remove_tree(path)
    return len(left)


def _wait(root: layout.Root, owner: str, wait: float, call: Any) -> int:
    deadline, pause = time.monotonic() + wait, POLL[0]
    while True:
        descriptor = locks.take(lease_path(root, owner))
        if descriptor is not None:
            return descriptor
        if silent(lease_path(root, owner)) > STALE and _end(lease_path(root, owner)):
            deadline = max(deadline, time.monotonic() + fence.FREED)
        if time.monotonic() + pause > deadline:
            raise _busy(root, owner)
        if call.cancelled.wait(pause):
            raise frames.Problem("cancelled", "waiting for the lease was cancelled")
        pause = min(pause * 2, POLL[1])


def _end(path: str) -> bool:
    """End the process that says it holds a lease, by pid and start time; False where it is gone already."""
    told = told_by(path)
    return processes.end(told.get("pid", 0), told.get("ticks"), signal.SIGKILL)


def _busy(root: layout.Root, owner: str) -> frames.Problem:
    row = holder(root, owner) or {}
    who = row.get("user") or "somebody"
    since = time.strftime("%H:%M:%S UTC", time.gmtime(row["since"])) if row.get("since") else "just now"
    name, doing = fleet_names.called(root, owner), row.get("doing") or "working"
    text = f"fleet {name} is being changed by {who} ({doing}) since {since}"
    if row.get("process") == "T":
        return frames.Problem("busy", text + "; that process is stopped", "end it with `unictl locks -end-holder`")
    return frames.Problem("busy", text, "wait for it to end, or use -lock-timeout")


def token_path(root: layout.Root, owner: str) -> str:
    """Where the token in force lies."""
    return lease_path(root, owner) + ".token"


def _raised(root: layout.Root, owner: str) -> int:
    return fence.raised(token_path(root, owner), lambda: _end(lease_path(root, owner)))


def _announce(root: layout.Root, owner: str, token: int, told: dict[str, Any]) -> None:
    row = {key: told.get(key, "") for key in ("user", "revision", "doing")}
    row.update(pid=os.getpid(), ticks=processes.ticks(os.getpid()), since=time.time(), token=token)
    try:
        layout.write_plain(lease_path(root, owner) + ".holder", frames.encode(row), sync=False)
    except frames.Problem:
        # For people only: not worth a sync, and a full disk keeps no holder out.
        return


def _introduce(root: fenced_store.Writable, ask: dict[str, Any]) -> None:
    """The fleet's folder and who it is: mark and id, so that namesakes are told apart."""
    fleet = root.fleet(ask["owner"])
    for folder in (fleet, fleet + "/instances", fleet + "/retired", fleet + "/volumes", fleet + "/wanted"):
        layout.folders(folder)
    # One that is there under its former name keeps it until all else that the apply does here is done.
    if not fleet_names.told(root, ask["owner"]).get("mark"):
        fleet_names.rename(root, ask["owner"], {"mark": ask.get("mark", ""), "id": ask.get("id", "")})
