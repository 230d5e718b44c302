"""Watches the ingress for the supervisor daemon: a HAProxy that exits is started again with the configuration in
force.

HAProxy is not a child of the daemon and outlives it. Whoever changes the ingress (``handlers.ingress``) holds its
lock
meanwhile, and then nothing is judged or started here. Nothing here blocks: the daemon has to serve its instances.
"""

from __future__ import annotations

import os
import time

from ..instances import run_log
from ..storage import layout, locks
from . import haproxy, haproxy_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..platform.event_loop import Loop, Timer

BUSY = 0.1
"""Seconds until an ingress that is just being changed is looked at again."""
BACKOFF_MOST = 60.0
STEADY = 60.0
"""Seconds of running after which the back-off begins anew: the first time it is started again at once."""
SAID_LIMIT = 65536


class Watch:
    """``state`` is absent (there is no ingress), running or waiting."""

    def __init__(self, loop: Loop, root: layout.Root, owner: str):
        self.loop = loop
        self.place = haproxy.Place(root, owner)
        self.state = "absent"
        self._level = 0
        self._since = 0.0
        self._pidfd = -1
        self._start: haproxy_start.Start | None = None
        self._timer: Timer | None = None
        self._told = False
        self._seen = False

    def look(self) -> None:
        """Watch the current one; start one where there should be one and is none."""
        self._look(self._level == 0)

    def _look(self, at_once: bool) -> None:
        if self._start is not None:
            return
        self._forget()
        if not os.path.exists(self.place.config):
            self.state, self._level = "absent", 0
            return
        self.state = "waiting"
        lock = locks.take(self.place.lock)
        if lock is None:
            self._timer = self.loop.after(BUSY, lambda: self._look(at_once))
            return
        self._pidfd = haproxy.newest(self.place)
        if self._pidfd < 0:
            self._missing(lock, at_once)
            return
        os.close(lock)
        self.state, self._since, self._told, self._seen = "running", time.monotonic(), False, True
        self.loop.watch(self._pidfd, self._ended)

    def _ended(self) -> None:
        """It is gone, or has been replaced by another one."""
        if time.monotonic() - self._since >= STEADY:
            self._level = 0
        self.look()

    def _missing(self, lock: int, at_once: bool) -> None:
        if not self._told:
            self._told = True
            # One that was never watched may have ended long ago.
            self._write({"event": "ended", "seen": self._seen})
        if at_once:
            self._begin(lock)
        else:
            os.close(lock)
            self._wait()

    def _begin(self, lock: int) -> None:
        """Begin a start; the lock is held until it has come to something."""
        self._level += 1
        try:
            self._start = self.begin(lock)
        except OSError as error:
            os.close(lock)
            self._failed(f"{error.filename or self.place.run}: {error.strerror}")
            return
        self.loop.watch(self._start.pidfd, self._begun)
        self._timer = self.loop.after(haproxy.START, self._start.kill)

    def begin(self, lock: int) -> haproxy_start.Start:
        """Have the next HAProxy started; it takes over the lock."""
        return haproxy_start.Start(self.place, lock)

    def _begun(self) -> None:
        start, self._start = self._start, None
        assert start is not None
        self.loop.forget(start.pidfd)
        why = start.outcome()
        if why:
            self._failed(why)
        else:
            self._write({"event": "started"})
            self.look()

    def _failed(self, why: str) -> None:
        """A port that another program took, a full disk: what may pass. Tried again, ever less often."""
        self._write({"event": "failed", "why": why})
        self._wait()

    def _wait(self) -> None:
        self._forget()
        self._timer = self.loop.after(pause(self._level), lambda: self._look(True))

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pidfd >= 0:
            self.loop.forget(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _write(self, entry: dict[str, Any]) -> None:
        """What happened, beside the configuration; the disk may be full, or the ingress just gone."""
        try:
            run_log.append(self.place.folder, dict(entry, format=layout.FORMAT, boot=layout.boot_id(), at=time.time()))
            run_log.bound(self.place.folder)
        except OSError:
            return


def pause(level: int) -> float:
    """Seconds before the next try after so many starts that did not last."""
    return float(min(2.0 ** max(0, level - 1), BACKOFF_MOST))
