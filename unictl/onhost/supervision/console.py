"""Reads the console of one instance: its serial port socket and the pipe of the hypervisor's own output.

Both go into the console log, and the next daemon finds both again: the socket by its path, the pipe through /proc
(the
hypervisor holds the reading end too, so that writing to it never kills it).
"""

from __future__ import annotations

import os
import socket

from ..instances import console_log
from ..storage import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..platform.event_loop import Loop

CHUNK = 65536
LAST_CHUNKS = 64
"""Chunks still read of each source when the process has ended."""


def bound(path: str) -> int:
    """A socket that listens at a path; it waits for its first client until there is one."""
    layout.remove_file(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(4)
        return listener.detach()
    finally:
        listener.close()


def greet(path: str) -> None:
    """Be that first client, and go: for a hypervisor that nobody listens to yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(path)
        except OSError:
            return


class Console:
    """Pipe and connection of one run of one guest."""

    def __init__(self, loop: Loop, folder: str, run: str):
        self.loop = loop
        self.path = run + "/console"
        self._ring = console_log.Ring(folder)
        self._sources: list[int] = []

    def pipe(self) -> tuple[int, int]:
        """A new pipe for the hypervisor's output: (reading, writing) for it to inherit; read here from now on."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self.reopen(f"/proc/self/fd/{reading}")
        return reading, writing

    def reopen(self, path: str) -> None:
        """Read an output pipe by its path in /proc: a description of our own, which alone does not block."""
        try:
            self._source(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            # Another user's process, or its output is no pipe: its words are lost, it runs on.
            return

    def listener(self) -> int:
        """A listening socket for the hypervisor to inherit; we are its first client before it has run a step."""
        listener = bound(self.path)
        self.connect()
        return listener

    def connect(self) -> None:
        """Listen to a serial port, where it has a socket; it lets go of a client that is gone by itself."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(self.path)
        except OSError:
            connection.close()
            return
        self._source(connection.detach())

    def drain(self) -> None:
        """What was said last, once the process has ended."""
        for descriptor in list(self._sources):
            for _ in range(LAST_CHUNKS):
                if not self._pump(descriptor):
                    break

    def close(self) -> None:
        """Stop reading."""
        for descriptor in list(self._sources):
            self._drop(descriptor)
        self._ring.close()

    def _source(self, descriptor: int) -> None:
        self._sources.append(descriptor)
        self.loop.watch(descriptor, self._heard)

    def _heard(self) -> None:
        """One chunk of each, the hypervisor's own words first: so they never stand amidst a line of its guest's."""
        for descriptor in list(self._sources):
            self._pump(descriptor)

    def _pump(self, descriptor: int) -> bool:
        """Move one chunk into the ring; whether there was one."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._ring.write(data)
        else:
            self._drop(descriptor)
        return bool(data)

    def _drop(self, descriptor: int) -> None:
        if descriptor in self._sources:
            self._sources.remove(descriptor)
            self.loop.forget(descriptor)
            os.close(descriptor)
