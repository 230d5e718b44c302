"""Starts one hypervisor process: inherited locks, descriptors, privileges, exec. Runs in the supervisor.

Order: ``alive`` and the volume locks are taken, the child itself writes the start into the run log, then it becomes
the
hypervisor. A kill at any point leaves either nothing running or a process whose pid is recorded.
"""

from __future__ import annotations

import os
import resource
import signal
import time

from ..platform import privileges, processes, programs
from ..protocol import frames
from ..storage import layout, locks
from . import launch_tokens, run_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


CONSOLE = 3
"""The descriptor QEMU finds its console's listener at: in the keeper it is its own lock's, which no child needs."""
LISTENING = f"socket,id=console,fd={CONSOLE},server=on,wait=on"
"""QEMU's console as a socket that its keeper has connected to already: a guest whose keeper is gone speaks to nobody,
and never waits for somebody to listen, as it would once its output pipe is full."""


class Inherited:
    """Descriptors a hypervisor inherits: its liveness lock, its volumes' locks, both ends of its output pipe, and
    the socket its console is reached at."""

    def __init__(self) -> None:
        self.locks: list[int] = []
        self.output = -1
        self.reading = -1
        self.console = -1

    def close(self) -> None:
        """Drop our copies: the locks then live exactly as long as the hypervisor."""
        for descriptor in [*self.locks, self.output, self.reading, self.console]:
            if descriptor >= 0:
                os.close(descriptor)
        self.locks, self.output, self.reading, self.console = [], -1, -1, -1


def run_folder(root: layout.Root, token: str, uid: int | None) -> str:
    """The instance's run folder, made and handed to its user."""
    path = root.run(token)
    layout.folders(path, 0o700)
    privileges.give(path, uid)
    return path


def lock(root: layout.Root, owner: str, run: dict[str, Any], folder: str, uid: int | None) -> Inherited | None:
    """Take ``alive`` and the volumes' locks; None where the instance runs already, a Problem where a volume is busy."""
    held = Inherited()
    alive = locks.take(folder + "/alive")
    if alive is None:
        return None
    held.locks.append(alive)
    try:
        for name in run.get("volumes", ()):
            held.locks.append(_lock_volume(root, owner, name, uid))
    except BaseException:
        held.close()
        raise
    return held


def _lock_volume(root: layout.Root, owner: str, name: str, uid: int | None) -> int:
    folder = root.volume(owner, name)
    if not os.path.isdir(folder):
        raise frames.Problem("not-found", f"volume {name} is not on this host", "plan again: it is created there")
    descriptor = locks.take(folder + "/lock")
    if descriptor is None:
        raise frames.Problem("taken", f"volume {name} is in use by a process that still runs", "retire its user first")
    privileges.give(folder + "/data", uid)
    return descriptor


def spawn(
    argv: list[str], facts_folder: str, run: str, number: int, held: Inherited, uid: int | None
) -> tuple[int, int]:
    """Start the process: its pid, and a descriptor that says an errno, or closes when the program has begun."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(argv, facts_folder, run, number, held, uid, writing)
    os.close(writing)
    return pid, reading


def _become(
    argv: list[str], facts_folder: str, run: str, number: int, held: Inherited, uid: int | None, writing: int
) -> None:
    """In the child: never returns."""
    try:
        os.setsid()
        streams(held)
        run_log.append(facts_folder, started(os.getpid(), number))
        change(argv, run, uid)
    except OSError as error:
        os.write(writing, str(error.errno or 1).encode())
    finally:
        os._exit(127)


def change(argv: list[str], run: str, uid: int | None) -> None:
    """Become the program, as its user, in its run folder. Returns only by OSError."""
    for sent in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sent, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_NOFILE, _files())
    processes.fall_in()
    os.umask(0o077)
    os.chdir(run)
    privileges.drop(uid)
    os.execve(argv[0], argv, ENVIRONMENT)


def streams(held: Inherited) -> None:
    """Put what it inherits where it looks for it."""
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(held.output, 1)
    os.dup2(held.output, 2)
    for descriptor in [*held.locks, held.reading]:
        os.set_inheritable(descriptor, True)
    if held.console >= 0:
        os.dup2(held.console, CONSOLE)


def _files() -> tuple[int, int]:
    """What a process usually gets, not what the keeper raised for itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return (min(hard, 1024) if hard != resource.RLIM_INFINITY else 1024, hard)


def started(pid: int, number: int) -> dict[str, Any]:
    """The entry of a start: who it is beyond doubt."""
    return {
        "format": layout.FORMAT,
        "event": "started",
        "n": number,
        "pid": pid,
        "ticks": processes.ticks(pid),
        "boot": layout.boot_id(),
        "at": time.time(),
    }


def found(folder: str, run: str) -> tuple[int, Any, int]:
    """(pid, start time, number of its start) of the process that holds ``alive``: as it was written down, else by
    looking through /proc, and then written down. No start time where there is none."""
    last = run_log.last(folder) or {}
    number, pid, ticks = int(last.get("n", 0)) or 1, int(last.get("pid", 0)), last.get("ticks")
    if last.get("event") != "started" or processes.ticks(pid) != ticks:
        pid = processes.holder_of(run + "/alive")
        ticks = processes.ticks(pid)
        if ticks:
            run_log.append(folder, started(pid, number))
    return pid, ticks, number


def command(root: layout.Root, owner: str, key: str, run: dict[str, Any]) -> list[str]:
    """The command line with a path to execute in front."""
    argv = launch_tokens.argv(root, owner, key, run, LISTENING)
    if not argv:
        raise frames.Problem("failed", f"the launch document of {key} has no command line")
    if "/" not in argv[0]:
        argv[0] = programs.which(argv[0]) or argv[0]
    return argv
