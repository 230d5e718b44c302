"""One asynchronous start of HAProxy, for the supervisor daemon, whose event loop must not block."""

from __future__ import annotations

import os
import signal

from ..platform import processes
from . import haproxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .haproxy import IngressPaths

STDERR_LIMIT = 65536


class HaproxyStart:
    """A child that ends once HAProxy listens, or cannot. ``pidfd`` tells when; then ask for its ``failure``.

    It takes over ``descriptors``, the ingress lock among them, which are closed then.
    """

    def __init__(self, pid: int, descriptors: list[int], read_stderr: Callable[[], bytes]):
        self._pid = pid
        self._read_stderr = read_stderr
        self.pidfd = os.pidfd_open(pid)
        self._descriptors = [*descriptors, self.pidfd]

    def kill(self) -> None:
        """It takes too long."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def failure(self) -> str:
        """Why it did not start; empty where it did."""
        has_failed = os.waitpid(self._pid, 0)[1] != 0
        stderr = self._read_stderr() if has_failed else b""
        for descriptor in self._descriptors:
            os.close(descriptor)
        return haproxy.complaints(stderr) if has_failed else ""


def fork(paths: IngressPaths, lock: int) -> HaproxyStart:
    """Start HAProxy as a child, which goes on by itself once it listens."""
    argv = haproxy.command_line(paths, [], handover=False)
    alive = haproxy.share_lock(paths.alive)
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    pid = os.fork()
    if pid == 0:
        _exec_haproxy(argv, alive, write_end)
    os.close(alive)
    os.close(write_end)
    return HaproxyStart(pid, [read_end, lock], lambda: _read_pipe(read_end))


def _read_pipe(read_end: int) -> bytes:
    try:
        return os.read(read_end, STDERR_LIMIT)
    except BlockingIOError:
        return b""


def _exec_haproxy(argv: list[str], alive: int, stderr_fd: int) -> None:
    """In the child: never returns. A session and a priority of its own, for it outlives the supervisor."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor, target in ((null, 0), (null, 1), (stderr_fd, 2)):
            os.dup2(descriptor, target)
        os.set_inheritable(alive, True)
        processes.reset_priority()
        os.chdir("/")
        os.execve(argv[0], argv, haproxy.ENVIRONMENT)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}".encode())
    finally:
        os._exit(127)
