"""A connection to QEMU's monitor (QMP): why a guest ended, and whether a live process holds a dead guest.

After an internal error QEMU stays up, paused: the process lives, the guest does not. So every STOP is followed by a
query
of the status. Nothing here ever pauses a guest: one that is paused is dead.
"""

from __future__ import annotations

import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ...platform.event_loop import Loop, Timer

FIRST, MOST = 0.01, 1.0
"""Seconds between two tries to connect: QEMU makes its socket some ten ms after its start."""
DEAD = {
    "internal-error": "internal-error",
    "guest-panicked": "guest-panic",
    "io-error": "io-error",
    "watchdog": "paused",
    "debug": "paused",
    "paused": "paused",
}
"""QMP status of a guest that takes no step any more -> why."""
LINE_LIMIT = 1 << 20


class Monitor:
    """One QMP connection. ``reason`` is the last one told; ``dead`` is called when the guest is beyond help."""

    def __init__(self, loop: Loop, path: str, dead: Callable[[str], None]):
        self.loop = loop
        self.path = path
        self.dead = dead
        self.reason: str | None = None
        self._socket: socket.socket | None = None
        self._pending = b""
        self._pause = FIRST
        self._timer: Timer | None = loop.after(FIRST, self._connect)

    def close(self) -> None:
        """Drop the connection and never try again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._drop()

    def drain(self) -> None:
        """Read what is there; called once more when the process has ended."""
        while self._socket is not None and self._read():
            pass

    def _connect(self) -> None:
        self._timer = None
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(self.path)
        except OSError:
            connection.close()
            self._again()
            return
        self._socket, self._pending, self._pause = connection, b"", FIRST
        self.loop.watch(connection.fileno(), self.drain)
        self._say("qmp_capabilities")
        self._say("query-status")

    def _again(self) -> None:
        self._timer = self.loop.after(self._pause, self._connect)
        self._pause = min(self._pause * 1.5, MOST)

    def _drop(self) -> None:
        if self._socket is not None:
            self.loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _say(self, command: str) -> None:
        if self._socket is not None:
            try:
                os.write(self._socket.fileno(), json.dumps({"execute": command}).encode() + b"\n")
            except OSError:
                return

    def _read(self) -> bool:
        """Whether something came."""
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._drop()
            self._again()
            return False
        *lines, self._pending = (self._pending + data)[-LINE_LIMIT:].split(b"\n")
        for line in lines:
            self._hear(line)
        return True

    def _hear(self, line: bytes) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            return
        event = told.get("event")
        if event == "SHUTDOWN":
            self.reason = str(told.get("data", {}).get("reason") or self.reason)
        elif event == "GUEST_PANICKED":
            self.reason = "guest-panic"
        elif event == "STOP":
            self._say("query-status")
        elif isinstance(told.get("return"), dict):
            self._status(told["return"])

    def _status(self, told: dict[str, Any]) -> None:
        if told.get("status") in DEAD and "running" in told:
            self.reason = DEAD[told["status"]]
            self.dead(self.reason)
