"""One asynchronous start of HAProxy, for the supervisor daemon, whose event loop must not block."""

from __future__ import annotations

import os
import signal

from ..platform import processes
from . import haproxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .haproxy import IngressPaths

STDERR_LIMIT = 65536


class HaproxyStart:
    """A child that ends once HAProxy listens, or cannot. ``pidfd`` tells when; then ask for its ``failure``.

    It takes over ``lock``, which is held until then.
    """

    def __init__(self, paths: IngressPaths, lock: int):
        self._lock = lock
        argv = haproxy.command_line(paths, [], handover=False)
        alive = haproxy.share_lock(paths.alive)
        self._stderr, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._pid = os.fork()
        if self._pid == 0:
            _exec_haproxy(argv, alive, write_end)
        os.close(alive)
        os.close(write_end)
        self.pidfd = os.pidfd_open(self._pid)

    def kill(self) -> None:
        """It takes too long."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def failure(self) -> str:
        """Why it did not start; empty where it did."""
        status = os.waitpid(self._pid, 0)[1]
        try:
            stderr = os.read(self._stderr, STDERR_LIMIT)
        except BlockingIOError:
            stderr = b""
        for descriptor in (self._stderr, self.pidfd, self._lock):
            os.close(descriptor)
        return haproxy.complaints(stderr) if status else ""


def _exec_haproxy(argv: list[str], alive: int, stderr_fd: int) -> None:
    """In the child: never returns. A session and a priority of its own, for it outlives the keeper."""
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
