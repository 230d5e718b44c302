"""Watches the ingress for the supervisor daemon: a HAProxy that exits is started again with the configuration in
force.

HAProxy is not a child of the daemon and outlives it. Whoever changes the ingress (``handlers.ingress``) holds its
lock meanwhile, and then nothing is judged or started here. Nothing here blocks: the daemon has to serve its
instances.
"""

from __future__ import annotations

import os
import time

from ..instances import run_log
from ..storage import identifiers, layout, locks
from . import haproxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..platform.event_loop import EventLoop, Timer
    from .haproxy_start import HaproxyStart

BUSY_RETRY = 0.1
"""Seconds until an ingress that is just being changed is looked at again."""
MAX_BACKOFF = 60.0
STEADY_SECONDS = 60.0
"""Seconds of running after which the back-off begins anew: the first time it is started again at once."""
STDERR_LIMIT = 65536


class IngressWatcher:
    """``state`` is absent (there is no ingress), running or waiting.

    ``start_haproxy`` has the next HAProxy started, and takes over the lock that it is given.
    """

    def __init__(
        self,
        loop: EventLoop,
        root: layout.StoreLayout,
        owner: str,
        start_haproxy: Callable[[haproxy.IngressPaths, int], HaproxyStart],
    ):
        self.loop = loop
        self._start_haproxy = start_haproxy
        self.paths = haproxy.IngressPaths(root, owner)
        self.state = "absent"
        self._start_count = 0
        self._running_since = 0.0
        self._pidfd = -1
        self._start: HaproxyStart | None = None
        self._timer: Timer | None = None
        self._end_logged = False
        self._was_watched = False

    def check(self) -> None:
        """Watch the current one; start one where there should be one and is none."""
        self._check(self._start_count == 0)

    def _check(self, at_once: bool) -> None:
        if self._start is not None:
            return
        self._stop_watching()
        if not os.path.exists(self.paths.config):
            self.state, self._start_count = "absent", 0
            return
        self.state = "waiting"
        lock = locks.take(self.paths.lock)
        if lock is None:
            self._timer = self.loop.call_later(BUSY_RETRY, lambda: self._check(at_once))
            return
        self._pidfd = haproxy.latest_pidfd(self.paths)
        if self._pidfd < 0:
            self._handle_missing(lock, at_once)
            return
        os.close(lock)
        self.state, self._running_since, self._end_logged, self._was_watched = "running", time.monotonic(), False, True
        self.loop.watch(self._pidfd, self._on_exit)

    def _on_exit(self) -> None:
        """It is gone, or has been replaced by another one."""
        if time.monotonic() - self._running_since >= STEADY_SECONDS:
            self._start_count = 0
        self.check()

    def _handle_missing(self, lock: int, at_once: bool) -> None:
        if not self._end_logged:
            self._end_logged = True
            # One that was never watched may have ended long ago.
            self._log({"event": "ended", "seen": self._was_watched})
        if at_once:
            self._begin_start(lock)
        else:
            os.close(lock)
            self._retry_later()

    def _begin_start(self, lock: int) -> None:
        """Begin a start; the lock is held until it has come to something."""
        self._start_count += 1
        try:
            self._start = self._start_haproxy(self.paths, lock)
        except OSError as error:
            os.close(lock)
            self._log_failure(f"{error.filename or self.paths.run_directory}: {error.strerror}")
            return
        self.loop.watch(self._start.pidfd, self._on_start_finished)
        self._timer = self.loop.call_later(haproxy.START_TIMEOUT, self._start.kill)

    def _on_start_finished(self) -> None:
        start, self._start = self._start, None
        assert start is not None
        self.loop.unwatch(start.pidfd)
        reason = start.failure()
        if reason:
            self._log_failure(reason)
        else:
            self._log({"event": "started"})
            self.check()

    def _log_failure(self, reason: str) -> None:
        """A port that another program took, a full disk: what may pass. Tried again, ever less often."""
        self._log({"event": "failed", "why": reason})
        self._retry_later()

    def _retry_later(self) -> None:
        self._stop_watching()
        self._timer = self.loop.call_later(retry_delay(self._start_count), lambda: self._check(True))

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pidfd >= 0:
            self.loop.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _log(self, entry: dict[str, Any]) -> None:
        """What happened, beside the configuration; the disk may be full, or the ingress just gone."""
        try:
            run_log.append(
                self.paths.directory, dict(entry, format=layout.FORMAT, boot=identifiers.boot_id(), at=time.time())
            )
            run_log.truncate(self.paths.directory)
        except OSError:
            return


def retry_delay(start_count: int) -> float:
    """Seconds before the next try after so many starts that did not last."""
    return float(min(2.0 ** max(0, start_count - 1), MAX_BACKOFF))
