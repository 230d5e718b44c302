"""Aborting at the second interrupt: restore the terminal, then end the process."""

import os
from collections.abc import Callable
from typing import TextIO

from unictl.terminal.paint import RESTORE

_MESSAGE = "Left at once. Steps in flight were cut off; the next apply finds and finishes them.\n"


def abort_handler(stream: TextIO, is_live: bool, exit_process: Callable[[int], None] = os._exit) -> Callable[[], None]:
    """What a second Ctrl-C calls: restores the terminal, says so, ends the process with 130.

    Written past every buffer and lock, since it may run in the middle of a write; and without unwinding, since that
    would wait for what is to be left.
    """

    def exit_now() -> None:
        try:
            os.write(stream.fileno(), f"{RESTORE if is_live else ''}\n{_MESSAGE}".encode())
        except (OSError, ValueError):
            pass
        finally:
            exit_process(130)

    return exit_now
