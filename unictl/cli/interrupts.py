"""SIGINT and SIGTERM during an apply: the first requests a stop, the second aborts at once."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """How often a stop was asked for: ``count``. To be used with ``with``; ``leave`` is called at the second one.

    The handler only counts: it may run in the middle of anything, so whoever draws the screen says what it means.
    """

    def __init__(self, leave: Callable[[], None]):
        self.count = 0
        self._leave = leave
        self._before: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""
        return self.count > 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._handle) for each in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            self._leave()
