"""A connection to QEMU's monitor (QMP): why a guest ended, and whether a live process holds a dead guest.

After an internal error QEMU stays up, paused: the process lives, the guest does not. So every STOP is followed by a
query of the status. Nothing here ever pauses a guest: one that is paused is dead.
"""

from __future__ import annotations

import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ...platform.event_loop import EventLoop, Timer

FIRST_PAUSE, MAX_PAUSE = 0.01, 1.0
"""Seconds between two tries to connect: QEMU makes its socket some ten ms after its start."""
DEAD_STATUSES = {
    "internal-error": "internal-error",
    "guest-panicked": "guest-panic",
    "io-error": "io-error",
    "watchdog": "paused",
    "debug": "paused",
    "paused": "paused",
}
"""QMP status of a guest that takes no step any more -> why."""
LINE_LIMIT = 1 << 20


class QmpMonitor:
    """One QMP connection. ``reason`` is the last one told; ``on_dead`` is called when the guest is beyond help."""

    def __init__(self, loop: EventLoop, path: str, on_dead: Callable[[str], None]):
        self.loop = loop
        self.path = path
        self.on_dead = on_dead
        self.reason: str | None = None
        self._socket: socket.socket | None = None
        self._pending = b""
        self._pause = FIRST_PAUSE
        self._timer: Timer | None = loop.call_later(FIRST_PAUSE, self._connect)

    def close(self) -> None:
        """Drop the connection and never try again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._disconnect()

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
            self._retry_later()
            return
        self._socket, self._pending, self._pause = connection, b"", FIRST_PAUSE
        self.loop.watch(connection.fileno(), self.drain)
        self._send("qmp_capabilities")
        self._send("query-status")

    def _retry_later(self) -> None:
        self._timer = self.loop.call_later(self._pause, self._connect)
        self._pause = min(self._pause * 1.5, MAX_PAUSE)

    def _disconnect(self) -> None:
        if self._socket is not None:
            self.loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _send(self, command: str) -> None:
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
            self._disconnect()
            self._retry_later()
            return False
        *lines, self._pending = (self._pending + data)[-LINE_LIMIT:].split(b"\n")
        for line in lines:
            self._handle_line(line)
        return True

    def _handle_line(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        event = message.get("event")
        if event == "SHUTDOWN":
            self.reason = str(message.get("data", {}).get("reason") or self.reason)
        elif event == "GUEST_PANICKED":
            self.reason = "guest-panic"
        elif event == "STOP":
            self._send("query-status")
        elif isinstance(message.get("return"), dict):
            self._handle_status(message["return"])

    def _handle_status(self, status: dict[str, Any]) -> None:
        if status.get("status") in DEAD_STATUSES and "running" in status:
            self.reason = DEAD_STATUSES[status["status"]]
            self.on_dead(self.reason)
