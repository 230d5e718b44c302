"""Reads the console of one instance: its serial port socket and the pipe of the hypervisor's own output.

Both go into the console log, and the next daemon finds both again: the socket by its path, the pipe through /proc
(the hypervisor holds the reading end too, so that writing to it never kills it).
"""

from __future__ import annotations

import os
import socket

from ..instances import console_log
from ..storage import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..platform.event_loop import EventLoop

CHUNK_SIZE = 65536
MAX_DRAINED_CHUNKS = 64
"""Chunks still read of each source when the process has ended."""


def bind_listener(path: str) -> int:
    """A socket that listens at a path; it waits for its first client until there is one."""
    atomic.remove_file(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(4)
        return listener.detach()
    finally:
        listener.close()


def connect_once(path: str) -> None:
    """Be that first client, and go: for a hypervisor that nobody listens to yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(path)
        except OSError:
            return


class Console:
    """Pipe and connection of one run of one guest."""

    def __init__(self, loop: EventLoop, directory: str, run_directory: str):
        self.loop = loop
        self.path = run_directory + "/console"
        self._ring = console_log.ConsoleLog(directory)
        self._sources: list[int] = []

    def open_pipe(self) -> tuple[int, int]:
        """A new pipe for the hypervisor's output: (reading, writing) for it to inherit; read here from now on."""
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        self.read_from(f"/proc/self/fd/{read_end}")
        return read_end, write_end

    def read_from(self, path: str) -> None:
        """Read an output pipe by its path in /proc: a description of our own, which alone does not block."""
        try:
            self._add_source(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            # Another user's process, or its output is no pipe: its words are lost, it runs on.
            return

    def open_listener(self) -> int:
        """A listening socket for the hypervisor to inherit; we are its first client before it has run a step."""
        listener = bind_listener(self.path)
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
        self._add_source(connection.detach())

    def drain(self) -> None:
        """What was said last, once the process has ended."""
        for descriptor in list(self._sources):
            for _ in range(MAX_DRAINED_CHUNKS):
                if not self._read_chunk(descriptor):
                    break

    def close(self) -> None:
        """Stop reading."""
        for descriptor in list(self._sources):
            self._drop_source(descriptor)
        self._ring.close()

    def _add_source(self, descriptor: int) -> None:
        self._sources.append(descriptor)
        self.loop.watch(descriptor, self._on_readable)

    def _on_readable(self) -> None:
        """One chunk of each, the hypervisor's own words first: so they never stand amidst a line of its guest's."""
        for descriptor in list(self._sources):
            self._read_chunk(descriptor)

    def _read_chunk(self, descriptor: int) -> bool:
        """Move one chunk into the ring; whether there was one."""
        try:
            data = os.read(descriptor, CHUNK_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._ring.write(data)
        else:
            self._drop_source(descriptor)
        return bool(data)

    def _drop_source(self, descriptor: int) -> None:
        if descriptor in self._sources:
            self._sources.remove(descriptor)
            self.loop.unwatch(descriptor)
            os.close(descriptor)
