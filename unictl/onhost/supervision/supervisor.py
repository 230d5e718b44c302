"""Starts and stops instances: by their systemd units where systemd supervises, else by the fleet's supervisor
daemon.

This module decides which of the two is in charge. Only the holder of a lease calls what starts a daemon.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

from ..instances.instance_state import keeper_folder, keeper_lives, state
from ..platform import own_code, processes
from ..protocol import frames
from ..storage import guarded_read, layout, locks
from ..systemd import unit_files, units
from . import systemd_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import Writable

__all__ = ["ask", "attend", "ensure", "keeper_folder", "keeper_lives", "revive", "start", "state", "stop", "wake"]

SOCKET_PATH_LIMIT = 99
"""Of ``console``; of ``admin``, two bytes shorter, HAProxy takes 97 at most."""
PATIENCE = 10.0
"""Seconds a keeper may take to say something, and to come or go."""


def revive(root: Writable, owner: str) -> None:
    """Start a keeper where something runs, or waits to run again, without one; a unit for what has none."""
    if not units.here():
        if keeper_lives(root, owner):
            _renew(root, owner)
        elif _has_ingress(root, owner) or _going(root, owner):
            ensure(root, owner).close()
        return
    going = _going(root, owner)
    if going or _has_ingress(root, owner):
        _end_detached(root, owner)
        systemd_start.adopt(root, owner, going)
        if _has_ingress(root, owner) and not units.written(units.name(root, owner, "ingress")):
            unit_files.ingress(root, owner, root.run(layout.token(owner, "ingress")))
        if not keeper_lives(root, owner):
            ensure(root, owner).close()
        elif not own_code.current(keeper_folder(root, owner)):
            systemd_start.renew(root, owner)


def _renew(root: Writable, owner: str) -> None:
    """Have a keeper of other code become one of this, as the same process: its guests stay its children and notice
    nothing. One that is just stopping something, or too old to know how, stays as it is until it is asked again."""
    if own_code.current(keeper_folder(root, owner)):
        return
    archive, place = code()
    argv = command(place, root.path, owner, keeper_folder(root, owner) + "/socket")
    try:
        ask(root, owner, {"do": "become", "archive": f"/proc/{os.getpid()}/fd/{archive}", "argv": argv}, PATIENCE)
    except (frames.Problem, OSError):
        return
    finally:
        os.close(archive)


def _has_ingress(root: layout.Root, owner: str) -> bool:
    return os.path.exists(root.fleet(owner) + "/ingress/haproxy.cfg")


def _going(root: layout.Root, owner: str) -> list[str]:
    """What runs, or waits to run again."""
    rows = {key: guarded_read.noted(None, state, root, owner, key, False) for key in root.keys(owner)}
    return [
        key
        for key, row in rows.items()
        if row and (row["state"] == "unsupervised" or (row["state"] == "ended" and row["end"]["restarting"]))
    ]


def _end_detached(root: Writable, owner: str) -> None:
    """End the keeper from before systemd supervised here: its guests run on, and the keeper's unit takes them over."""
    lock = keeper_folder(root, owner) + "/lock"
    pid = int(guarded_read.read_bytes(lock) or 0) if locks.held(lock) else 0
    known = pid and processes.has_open(str(pid), os.stat(lock))
    if not known or units.owns(units.name(root, owner), pid):
        return
    with root.fence.passing():
        processes.end(pid, processes.ticks(pid), signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while locks.held(lock):
        if time.monotonic() > deadline:
            raise _mute(root, owner)
        time.sleep(0.005)


def wake(root: Writable, owner: str) -> None:
    """Have a keeper there soon, for what will be asked of it; a problem is told when it is asked."""
    try:
        ensure(root, owner).close()
    except (frames.Problem, OSError):
        return


def start(root: Writable, owner: str, keys: list[str]) -> dict[str, Any]:
    """Have these started; key -> {ok, problem?}."""
    if units.here():
        _end_detached(root, owner)
        return systemd_start.start(root, owner, keys)
    outcomes: dict[str, Any] = ask(root, owner, {"do": "start", "keys": keys}, 30 + len(keys))["outcomes"]
    return outcomes


def attend(root: Writable, owner: str) -> None:
    """Have the ingress looked after as it is now; no change of it fails because that cannot be."""
    try:
        ask(root, owner, {"do": "ingress"}, PATIENCE)
    except (frames.Problem, OSError):
        return


def stop(root: Writable, owner: str, key: str, grace: int) -> None:
    """Have it stopped, and any restart forgotten; returns when it is gone, and its unit with it."""
    if not units.here():
        _stop(root, owner, key, grace)
        return
    unit = units.name(root, owner, key)
    unit_files.disable(root, unit)
    _stop(root, owner, key, grace)
    unit_files.remove(root, unit)


def _stop(root: Writable, owner: str, key: str, grace: int) -> None:
    """Without a keeper and a process: nothing."""
    alive = root.run(layout.token(owner, key)) + "/alive"
    if not locks.held(alive) and not keeper_lives(root, owner):
        return
    ask(root, owner, {"do": "stop", "key": key, "grace": grace}, grace / 1000 + PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while locks.held(alive):
        if time.monotonic() > deadline:
            raise frames.Problem("failed", f"{key} does not end, even by SIGKILL", "look at its process on the host")
        time.sleep(0.005)


def ask(root: Writable, owner: str, request: dict[str, Any], patience: float) -> dict[str, Any]:
    """One request to the keeper, started when there is none. One that ends in that very moment is asked again."""
    for _ in range(5):
        connection = ensure(root, owner)
        try:
            connection.settimeout(patience)
            with root.fence.passing():
                connection.sendall(frames.encode(request) + b"\n")
            said = _line(connection)
        except socket.timeout as error:
            raise _mute(root, owner) from error
        except OSError:
            said = b""
        finally:
            connection.close()
        if said:
            import json

            answer: dict[str, Any] = json.loads(said)
            return answer
    raise frames.Problem(
        "failed", f"the keeper of fleet {owner} ends as soon as it is asked", "run the same command again"
    )


def _line(connection: socket.socket) -> bytes:
    pieces: list[bytes] = []
    while not pieces or not pieces[-1].endswith(b"\n"):
        piece = connection.recv(65536)
        if not piece:
            return b""
        pieces.append(piece)
    return b"".join(pieces)


def _mute(root: layout.Root, owner: str) -> frames.Problem:
    lock = keeper_folder(root, owner) + "/lock"
    told = (guarded_read.read_bytes(lock) or b"").decode("ascii", "replace").strip()
    # One that has just begun has not written its pid yet: that of one long gone stands there, anybody's by now.
    if not told.isdigit() or not locks.held(lock) or not processes.has_open(told, os.stat(lock)):
        return frames.Problem("failed", f"the keeper of fleet {owner} does not answer", "run the same command again")
    return frames.Problem(
        "failed",
        f"the keeper of fleet {owner} (process {told}) does not answer",
        f"end it with `kill -9 {told}` on the host and run the same command again: its guests run on",
    )


def ensure(root: Writable, owner: str) -> socket.socket:
    """A connection to the keeper of this fleet, which is started when there is none."""
    folder = keeper_folder(root, owner)
    path = folder + "/socket"
    if len(root.run("0" * 16) + "/console") > SOCKET_PATH_LIMIT:
        raise frames.Problem(
            "unsupported", f"the path {root.path} is too long for sockets in it", "give a shorter `root:`"
        )
    layout.folders(root.runs)
    layout.folders(folder, 0o700)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        connection = _connect(path)
        if connection is not None:
            return connection
        if units.here():
            unit_files.keeper(root, owner)
            with root.fence.passing():
                units.told_to("start", units.name(root, owner))
            continue
        lock = locks.take(folder + "/lock")
        if lock is not None:
            _begin(root, owner, path, lock)
        else:
            time.sleep(0.01)
    raise _mute(root, owner)


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _begin(root: layout.Root, owner: str, path: str, lock: int) -> None:
    """Start the keeper, its socket already listening: an interpreter of its own (a fork of a process with threads may
    inherit their locks), in a session of its own. It inherits the lock and the socket and nothing else of ours, above
    all not the lease. Where it cannot be started nothing is left: no socket without anybody behind it, no lock."""
    try:
        layout.remove_file(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(256)
            pid = _spawn(root, owner, path, [lock, listener.fileno()])
    except BaseException:
        layout.remove_file(path)
        raise
    finally:
        os.close(lock)
    threading.Thread(target=os.waitpid, args=(pid, 0), daemon=True).start()


def _spawn(root: layout.Root, owner: str, path: str, handed: list[int]) -> int:
    """The pid of a keeper that begins with these descriptors, and the one of its code."""
    archive, place = code()
    try:
        argv = command(place, root.path, owner, path)
        actions = _handing([*handed, archive])
        return os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"}, file_actions=actions, setsid=True)
    finally:
        os.close(archive)


def _handing(kept: list[int]) -> list[Any]:
    """What ``posix_spawn`` does with descriptors: these get their numbers, the standard ones lead nowhere."""
    actions: list[Any] = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1, 2)]
    spare = max(kept) + 10
    # Two steps, for the numbers they get may be in use by one another.
    actions += [(os.POSIX_SPAWN_DUP2, old, spare + at) for at, old in enumerate(kept)]
    actions += [(os.POSIX_SPAWN_DUP2, spare + at, new) for at, new in enumerate((LOCK, LISTENER, ARCHIVE))]
    return actions + [(os.POSIX_SPAWN_CLOSE, spare + at) for at in range(3)]


LOCK, LISTENER, ARCHIVE = 3, 4, 5
"""Descriptors a keeper begins with."""


def code() -> tuple[int, str]:
    """Where this package lies: a descriptor to hand down, and the path of it there."""
    archive, folder = own_code.handed()
    return archive, folder or f"/proc/self/fd/{ARCHIVE}"


def command(place: str, *arguments: str) -> list[str]:
    """The command line of a keeper."""
    package = f"{own_code.PACKAGE}.supervision"
    begin = f"import sys; sys.path.insert(0, sys.argv[1]); from {package} import daemon; daemon.main(*sys.argv[2:])"
    return [sys.executable, "-I", "-S", "-c", begin, place, *arguments]
