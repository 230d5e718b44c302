"""The supervisor's event loop: descriptors and timers in one thread. An error in one callback never ends the
others.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable


class Timer:
    """A call that is due at a moment; ``cancel`` to forget it."""

    def __init__(self, callback: Callable[[], None]):
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call it."""
        self.callback = None


class EventLoop:
    """epoll over descriptors with one callback each, and a heap of timers."""

    def __init__(self, on_error: Callable[[], None]) -> None:
        self._on_error = on_error
        self._poll = select.epoll()
        self._watched: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call when the descriptor can be read or has hung up."""
        self._poll.register(descriptor, select.EPOLLIN)
        self._watched[descriptor] = callback

    def unwatch(self, descriptor: int) -> None:
        """Stop watching; to be called before the descriptor is closed."""
        if self._watched.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call once, so many seconds from now."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), timer))
        return timer

    def run_once(self, max_wait: float) -> None:
        """One round: wait at most so many seconds, then call what is due."""
        current_time = time.monotonic()
        timeout = max(0.0, min(max_wait, self._timers[0][0] - current_time)) if self._timers else max_wait
        # A callback may close what is told further down, and its number may be watched by another since.
        ready = [(descriptor, self._watched.get(descriptor)) for descriptor, _ in self._poll.poll(timeout)]
        for descriptor, callback in ready:
            if self._watched.get(descriptor) is callback:
                self.call_safely(callback)
        current_time = time.monotonic()
        while self._timers and self._timers[0][0] <= current_time:
            self.call_safely(heapq.heappop(self._timers)[2].callback)

    def call_safely(self, callback: Callable[[], None] | None) -> None:
        """Call it; what it raises is told to ``failed`` and ends nothing else."""
        if callback is not None:
            try:
                callback()
            except Exception:
                self._on_error()
