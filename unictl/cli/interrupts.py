"""SIGINT and SIGTERM during an apply: the first requests a stop, the second aborts at once."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


SignalHandler = Callable[[int, FrameType | None], object] | int | None
"""What ``signal.signal`` takes and returns."""


class Interrupts:
    """How often a stop was asked for: ``count``. To be used with ``with``; ``abort`` is called at the second one.

    The handler only counts: it may run in the middle of anything, so whoever draws the screen says what it means.
    """

    def __init__(self, abort: Callable[[], None]):
        self.count = 0
        self._abort = abort
        self._previous_handlers: dict[signal.Signals, SignalHandler] = {}

    @property
    def is_requested(self) -> bool:
        """Whether a stop was asked for."""
        return self.count > 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous_handlers = {
                signal_number: signal.signal(signal_number, self._handle) for signal_number in _SIGNALS
            }
        return self

    def __exit__(self, *_: object) -> None:
        for signal_number, handler in self._previous_handlers.items():
            signal.signal(signal_number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            self._abort()
