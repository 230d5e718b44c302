"""The keeper's ears at one guest: the socket its serial port connects to, and the pipe of the hypervisor's own output.

Both go into the ring. QEMU comes back to the socket by itself after a keeper died; the pipe's reading end is held by
the hypervisor too, so that writing to it never kills it, and the next keeper opens it through /proc.
"""

from __future__ import annotations

import os
import socket

from . import privilege, records, ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .loop import Loop

CHUNK = 65536
LAST_CHUNKS = 64
"""Chunks still read of each source when the process has ended."""


class Console:
    """Listener, connections and pipe of one run of one guest."""

    def __init__(self, loop: Loop, folder: str, run: str, uid: int | None):
        self.loop = loop
        self.run = run
        self.uid = uid
        self._ring = ring.Ring(folder)
        self._listener: socket.socket | None = None
        self._sources: set[int] = set()

    def listen(self) -> None:
        """Be where the serial port connects to."""
        path = self.run + "/console"
        records.remove_file(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(path)
        os.chmod(path, 0o600)
        privilege.give(path, self.uid)
        self._listener.listen(4)
        self.loop.watch(self._listener.fileno(), self._accept)

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

    def drain(self) -> None:
        """What was said last, once the process has ended."""
        if self._listener is not None:
            self._accept()
        for descriptor in list(self._sources):
            for _ in range(LAST_CHUNKS):
                if not self._pump(descriptor):
                    break

    def close(self) -> None:
        """Stop listening and reading."""
        if self._listener is not None:
            self.loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for descriptor in list(self._sources):
            self._drop(descriptor)
        self._ring.close()

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self._source(connection.detach())

    def _source(self, descriptor: int) -> None:
        self._sources.add(descriptor)
        self.loop.watch(descriptor, lambda: self._heard(descriptor))

    def _heard(self, descriptor: int) -> None:
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
