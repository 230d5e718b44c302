"""Aborting at the second interrupt: restore the terminal, then end the process."""

import os
from collections.abc import Callable
from typing import TextIO

from unictl.terminal.paint import RESTORE

_LEFT = "Left at once. Steps in flight were cut off; the next apply finds and finishes them.\n"


def leaver(stream: TextIO, live: bool, end: Callable[[int], None] = os._exit) -> Callable[[], None]:
    """What a second Ctrl-C calls: restores the terminal, says so, ends the process with 130.

    Written past every buffer and lock, since it may run in the middle of a write; and without unwinding, since that
    would wait for what is to be left.
    """

    def leave() -> None:
        try:
            os.write(stream.fileno(), f"{RESTORE if live else ''}\n{_LEFT}".encode())
        except (OSError, ValueError):
            pass
        finally:
            end(130)

    return leave
