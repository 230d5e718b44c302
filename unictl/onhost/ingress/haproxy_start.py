"""One asynchronous start of HAProxy, for the supervisor daemon, whose event loop must not block."""

from __future__ import annotations

import os
import signal

from ..platform import processes
from . import haproxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .haproxy import Place

SAID_LIMIT = 65536


class Start:
    """A child that ends once HAProxy listens, or cannot. ``pidfd`` tells when; then ask for its ``outcome``.

    It takes over ``lock``, which is held until then.
    """

    def __init__(self, place: Place, lock: int):
        self._lock = lock
        argv = haproxy.command(place, [], handover=False)
        alive = haproxy.share(place.alive)
        self._said, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._pid = os.fork()
        if self._pid == 0:
            _become(argv, alive, writing)
        os.close(alive)
        os.close(writing)
        self.pidfd = os.pidfd_open(self._pid)

    def kill(self) -> None:
        """It takes too long."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def outcome(self) -> str:
        """Why it did not start; empty where it did."""
        status = os.waitpid(self._pid, 0)[1]
        try:
            said = os.read(self._said, SAID_LIMIT)
        except BlockingIOError:
            said = b""
        for descriptor in (self._said, self.pidfd, self._lock):
            os.close(descriptor)
        return haproxy.words(said) if status else ""


def _become(argv: list[str], alive: int, writing: int) -> None:
    """In the child: never returns. A session and a priority of its own, for it outlives the keeper."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor, wanted in ((null, 0), (null, 1), (writing, 2)):
            os.dup2(descriptor, wanted)
        os.set_inheritable(alive, True)
        processes.fall_in()
        os.chdir("/")
        os.execve(argv[0], argv, haproxy.ENVIRONMENT)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}".encode())
    finally:
        os._exit(127)
