"""Kill points: an audit hook that counts mutations and kills (or stops) its process before the k-th."""

import fcntl
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
LOCKING = (37, 38)
"""F_OFD_SETLK, F_OFD_SETLKW."""
SHARED = struct.pack("h", fcntl.F_RDLCK)
COUNTED = {
    "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chown", "os.chmod", "os.truncate",
    "os.fork", "os.posix_spawn", "subprocess.Popen", "os.exec", "os.kill", "socket.connect", "socket.bind",
}  # fmt: skip
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Counter:
    """Mutations so far, shared through a file by a child, everything it forks, and the supervisor it starts."""

    def __init__(self, path: str, kill_before: int, sent: int = signal.SIGKILL):
        self.path = path
        self.kill_before = kill_before
        self.sent = sent
        with open(path, "a+b") as file:
            file.truncate(8)
            self.shared = mmap.mmap(file.fileno(), 8)

    def install(self) -> None:
        """Count in this process, and in any supervisor it starts: the product has no hook, so its command line gets
        one."""
        from unictl.onhost.supervision import daemon_client

        plain = daemon_client.daemon_command
        begin = (
            f"import sys; sys.path.insert(0, {REPOSITORY!r}); from tests.onhost.counting import Counter; "
            f"sys.addaudithook(Counter({self.path!r}, {self.kill_before}).hook);"
        )

        def command(*arguments: str) -> list[str]:
            argv = plain(*arguments)
            # Without -I and -S: the test's own modules must be found.
            return [argv[0], "-c", begin + argv[4], *argv[5:]]

        daemon_client.daemon_command = command
        sys.addaudithook(self.hook)

    @property
    def value(self) -> int:
        return int(struct.unpack("q", self.shared[:8])[0])

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self._mutates(event, args):
            count = self.value + 1
            self.shared[:8] = struct.pack("q", count)
            if count == self.kill_before:
                os.kill(os.getpid(), self.sent)

    @staticmethod
    def _mutates(event: str, args: tuple[Any, ...]) -> bool:
        if event == "open":
            return bool(args[2] & WRITES) and args[0] != "/dev/null"
        if event == "fcntl.fcntl":
            # A lock that is shared changes nothing for anybody: dying before it is dying before what comes after it.
            return args[1] in LOCKING and args[2][:2] != SHARED
        return event in COUNTED


def killed(install: Callable[[], None], command: Callable[[], None]) -> bool:
    """Run a command in a child that installs a counter's hook first; whether it was killed at its point."""
    pid = os.fork()
    if pid == 0:
        try:
            install()
            command()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, status
    return status != 0
