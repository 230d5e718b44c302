"""The client of a fleet's supervisor daemon: connects to it, starts it if there is none, sends one request.

``start_detached`` binds the socket, takes the daemon's lock and hands both down: the daemon can be reached before it
has run a line, and there cannot be two.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

from .. import errors
from ..instances.instance_state import supervisor_alive, supervisor_dir
from ..platform import own_code, processes
from ..protocol import frames
from ..storage import atomic, guarded_read, identifiers, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..storage.fenced_store import FencedStore


SOCKET_PATH_LIMIT = 99
"""Of ``console``; of ``admin``, two bytes shorter, HAProxy takes 97 at most."""
ANSWER_TIMEOUT = 10.0
"""Seconds a supervisor may take to say something, and to come or go."""


class DaemonClient:
    """Speaks to the daemon of one fleet. ``start_daemon`` has one started where there is none, or waits a moment for
    one that begins or ends."""

    def __init__(self, root: FencedStore, owner: str, start_daemon: Callable[[FencedStore, str], None]):
        self.root = root
        self.owner = owner
        self._start_daemon = start_daemon

    def connect_or_start(self) -> socket.socket:
        """A connection to the daemon, which is started when there is none."""
        directory = supervisor_dir(self.root, self.owner)
        if len(self.root.run("0" * 16) + "/console") > SOCKET_PATH_LIMIT:
            raise errors.HostError(
                "unsupported", f"the path {self.root.path} is too long for sockets in it", "give a shorter `root:`"
            )
        atomic.make_dirs(self.root.runs)
        atomic.make_dirs(directory, 0o700)
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while time.monotonic() < deadline:
            connection = _connect(directory + "/socket")
            if connection is not None:
                return connection
            self._start_daemon(self.root, self.owner)
        raise unresponsive_error(self.root, self.owner)

    def send_request(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        """One request to the daemon, started when there is none. One that ends in that very moment is asked again."""
        for _ in range(5):
            connection = self.connect_or_start()
            try:
                connection.settimeout(timeout)
                with self.root.fence.enter():
                    connection.sendall(frames.encode_json(request) + b"\n")
                line = _read_line(connection)
            except socket.timeout as error:
                raise unresponsive_error(self.root, self.owner) from error
            except OSError:
                line = b""
            finally:
                connection.close()
            if line:
                import json

                answer: dict[str, Any] = json.loads(line)
                return answer
        raise errors.HostError(
            "failed", f"the supervisor of fleet {self.owner} ends as soon as it is asked", "run the same command again"
        )

    def wake(self) -> None:
        """Have a daemon there soon, for what will be asked of it; a problem is told when it is asked."""
        try:
            self.connect_or_start().close()
        except (errors.HostError, OSError):
            return

    def watch_ingress(self) -> None:
        """Have the ingress looked after as it is now; no change of it fails because that cannot be."""
        try:
            self.send_request({"do": "ingress"}, ANSWER_TIMEOUT)
        except (errors.HostError, OSError):
            return

    def stop_process(self, key: str, grace: int) -> None:
        """Have an instance stopped; returns when it is gone. Without a daemon and a process: nothing."""
        alive = self.root.run(identifiers.run_dir_name(self.owner, key)) + "/alive"
        if not locks.is_locked(alive) and not supervisor_alive(self.root, self.owner):
            return
        self.send_request({"do": "stop", "key": key, "grace": grace}, grace / 1000 + ANSWER_TIMEOUT)
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while locks.is_locked(alive):
            if time.monotonic() > deadline:
                raise errors.HostError(
                    "failed", f"{key} does not end, even by SIGKILL", "look at its process on the host"
                )
            time.sleep(0.005)


def _read_line(connection: socket.socket) -> bytes:
    pieces: list[bytes] = []
    while not pieces or not pieces[-1].endswith(b"\n"):
        piece = connection.recv(65536)
        if not piece:
            return b""
        pieces.append(piece)
    return b"".join(pieces)


def unresponsive_error(root: layout.StoreLayout, owner: str) -> errors.HostError:
    lock = supervisor_dir(root, owner) + "/lock"
    pid_text = (guarded_read.read_bytes(lock) or b"").decode("ascii", "replace").strip()
    # One that has just begun has not written its pid yet: that of one long gone stands there, anybody's by now.
    if not pid_text.isdigit() or not locks.is_locked(lock) or not processes.has_open(pid_text, os.stat(lock)):
        return errors.HostError(
            "failed", f"the supervisor of fleet {owner} does not answer", "run the same command again"
        )
    return errors.HostError(
        "failed",
        f"the supervisor of fleet {owner} (process {pid_text}) does not answer",
        f"end it with `kill -9 {pid_text}` on the host and run the same command again: its guests run on",
    )


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def start_detached(root: FencedStore, owner: str) -> None:
    """Start the daemon with its socket already listening, or wait a moment where another one has its lock.

    It gets an interpreter of its own (a fork of a process with threads may inherit their locks), in a session of its
    own. It inherits the lock and the socket and nothing else of ours, above all not the lease. Where it cannot be
    started nothing is left: no socket without anybody behind it, no lock.
    """
    directory = supervisor_dir(root, owner)
    lock = locks.take(directory + "/lock")
    if lock is None:
        time.sleep(0.01)
        return
    socket_path = directory + "/socket"
    try:
        atomic.remove_file(socket_path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(socket_path)
            os.chmod(socket_path, 0o600)
            listener.listen(256)
            pid = _spawn(root, owner, socket_path, [lock, listener.fileno()])
    except BaseException:
        atomic.remove_file(socket_path)
        raise
    finally:
        os.close(lock)
    threading.Thread(target=os.waitpid, args=(pid, 0), daemon=True).start()


def _spawn(root: layout.StoreLayout, owner: str, socket_path: str, inherited: list[int]) -> int:
    """The pid of a supervisor that begins with these descriptors, and the one of its code."""
    archive, code_path = code_location()
    try:
        argv = daemon_command(code_path, root.path, owner, socket_path)
        actions = _descriptor_actions([*inherited, archive])
        return os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"}, file_actions=actions, setsid=True)
    finally:
        os.close(archive)


def _descriptor_actions(descriptors: list[int]) -> list[Any]:
    """What ``posix_spawn`` does with descriptors: these get their numbers, the standard ones lead nowhere."""
    actions: list[Any] = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1, 2)]
    spare = max(descriptors) + 10
    # Two steps, for the numbers they get may be in use by one another.
    actions += [(os.POSIX_SPAWN_DUP2, source, spare + offset) for offset, source in enumerate(descriptors)]
    actions += [
        (os.POSIX_SPAWN_DUP2, spare + offset, target)
        for offset, target in enumerate((LOCK_FD, LISTENER_FD, ARCHIVE_FD))
    ]
    return actions + [(os.POSIX_SPAWN_CLOSE, spare + offset) for offset in range(3)]


LOCK_FD, LISTENER_FD, ARCHIVE_FD = 3, 4, 5
"""Descriptors a supervisor begins with."""


def code_location() -> tuple[int, str]:
    """Where this package lies: a descriptor to hand down, and the path of it there."""
    archive, directory = own_code.open_for_child()
    return archive, directory or f"/proc/self/fd/{ARCHIVE_FD}"


def daemon_command(code_path: str, *arguments: str) -> list[str]:
    """The command line of a supervisor."""
    package = f"{own_code.PACKAGE}.supervision"
    program = f"import sys; sys.path.insert(0, sys.argv[1]); from {package} import daemon; daemon.main(*sys.argv[2:])"
    return [sys.executable, "-I", "-S", "-c", program, code_path, *arguments]
