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

    def __init__(self, call: Callable[[], None]):
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Never call it."""
        self.call = None


class Loop:
    """epoll over descriptors with one callback each, and a heap of timers."""

    def __init__(self, failed: Callable[[], None]) -> None:
        self._failed = failed
        self._poll = select.epoll()
        self._watched: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()

    def watch(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call when the descriptor can be read or has hung up."""
        self._poll.register(descriptor, select.EPOLLIN)
        self._watched[descriptor] = call

    def forget(self, descriptor: int) -> None:
        """Stop watching; to be called before the descriptor is closed."""
        if self._watched.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call once, so many seconds from now."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), timer))
        return timer

    def turn(self, most: float) -> None:
        """One round: wait at most so many seconds, then call what is due."""
        now = time.monotonic()
        wait = max(0.0, min(most, self._timers[0][0] - now)) if self._timers else most
        # A callback may close what is told further down, and its number may be watched by another since.
        told = [(descriptor, self._watched.get(descriptor)) for descriptor, _ in self._poll.poll(wait)]
        for descriptor, call in told:
            if self._watched.get(descriptor) is call:
                self.safely(call)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            self.safely(heapq.heappop(self._timers)[2].call)

    def safely(self, call: Callable[[], None] | None) -> None:
        """Call it; what it raises is told to ``failed`` and ends nothing else."""
        if call is not None:
            try:
                call()
            except Exception:
                self._failed()
