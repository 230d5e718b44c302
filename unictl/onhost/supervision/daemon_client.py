"""The client of a fleet's supervisor daemon: connects to it, starts it if there is none, sends one request.

``connect_or_start`` binds the socket, takes the daemon's lock and hands both down: the daemon can be reached before
it has run a line, and there cannot be two.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

from .. import errors
from ..instances.instance_state import supervisor_dir
from ..platform import own_code, processes
from ..protocol import frames
from ..storage import atomic, guarded_read, layout, locks
from ..systemd import unit_files, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import FencedStore


SOCKET_PATH_LIMIT = 99
"""Of ``console``; of ``admin``, two bytes shorter, HAProxy takes 97 at most."""
ANSWER_TIMEOUT = 10.0
"""Seconds a keeper may take to say something, and to come or go."""


def send_request(root: FencedStore, owner: str, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """One request to the keeper, started when there is none. One that ends in that very moment is asked again."""
    for _ in range(5):
        connection = connect_or_start(root, owner)
        try:
            connection.settimeout(timeout)
            with root.fence.enter():
                connection.sendall(frames.encode_json(request) + b"\n")
            line = _read_line(connection)
        except socket.timeout as error:
            raise unresponsive_error(root, owner) from error
        except OSError:
            line = b""
        finally:
            connection.close()
        if line:
            import json

            answer: dict[str, Any] = json.loads(line)
            return answer
    raise errors.HostError(
        "failed", f"the keeper of fleet {owner} ends as soon as it is asked", "run the same command again"
    )


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
        return errors.HostError("failed", f"the keeper of fleet {owner} does not answer", "run the same command again")
    return errors.HostError(
        "failed",
        f"the keeper of fleet {owner} (process {pid_text}) does not answer",
        f"end it with `kill -9 {pid_text}` on the host and run the same command again: its guests run on",
    )


def connect_or_start(root: FencedStore, owner: str) -> socket.socket:
    """A connection to the keeper of this fleet, which is started when there is none."""
    directory = supervisor_dir(root, owner)
    path = directory + "/socket"
    if len(root.run("0" * 16) + "/console") > SOCKET_PATH_LIMIT:
        raise errors.HostError(
            "unsupported", f"the path {root.path} is too long for sockets in it", "give a shorter `root:`"
        )
    atomic.make_dirs(root.runs)
    atomic.make_dirs(directory, 0o700)
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while time.monotonic() < deadline:
        connection = _connect(path)
        if connection is not None:
            return connection
        if units.available():
            unit_files.write_supervisor(root, owner)
            with root.fence.enter():
                units.systemctl_checked("start", units.unit_name(root, owner))
            continue
        lock = locks.take(directory + "/lock")
        if lock is not None:
            _start_detached(root, owner, path, lock)
        else:
            time.sleep(0.01)
    raise unresponsive_error(root, owner)


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _start_detached(root: layout.StoreLayout, owner: str, socket_path: str, lock: int) -> None:
    """Start the keeper, its socket already listening: an interpreter of its own (a fork of a process with threads may
    inherit their locks), in a session of its own. It inherits the lock and the socket and nothing else of ours, above
    all not the lease. Where it cannot be started nothing is left: no socket without anybody behind it, no lock."""
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
    """The pid of a keeper that begins with these descriptors, and the one of its code."""
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
"""Descriptors a keeper begins with."""


def code_location() -> tuple[int, str]:
    """Where this package lies: a descriptor to hand down, and the path of it there."""
    archive, directory = own_code.open_for_child()
    return archive, directory or f"/proc/self/fd/{ARCHIVE_FD}"


def daemon_command(code_path: str, *arguments: str) -> list[str]:
    """The command line of a keeper."""
    package = f"{own_code.PACKAGE}.supervision"
    program = f"import sys; sys.path.insert(0, sys.argv[1]); from {package} import daemon; daemon.main(*sys.argv[2:])"
    return [sys.executable, "-I", "-S", "-c", program, code_path, *arguments]
