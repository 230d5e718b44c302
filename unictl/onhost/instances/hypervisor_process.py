"""Starts one hypervisor process: inherited locks, descriptors, privileges, exec. Runs in the supervisor.

Order: ``alive`` and the volume locks are taken, the child itself writes the start into the run log, then it becomes
the hypervisor. A kill at any point leaves either nothing running or a process whose pid is recorded.
"""

from __future__ import annotations

import os
import resource
import signal
import time

from .. import errors
from ..platform import privileges, processes, programs
from ..storage import atomic, identifiers, layout, locks
from . import launch_tokens, run_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


CONSOLE_DESCRIPTOR = 3
"""The descriptor a hypervisor finds its console's listener at: in the supervisor it is its own lock's, which no child
needs."""


class InheritedDescriptors:
    """Descriptors a hypervisor inherits: its liveness lock, its volumes' locks, both ends of its output pipe, and
    the socket its console is reached at."""

    def __init__(self) -> None:
        self.locks: list[int] = []
        self.output_writer = -1
        self.output_reader = -1
        self.console = -1

    def close(self) -> None:
        """Drop our copies: the locks then live exactly as long as the hypervisor."""
        for descriptor in [*self.locks, self.output_writer, self.output_reader, self.console]:
            if descriptor >= 0:
                os.close(descriptor)
        self.locks, self.output_writer, self.output_reader, self.console = [], -1, -1, -1


def make_run_dir(root: layout.StoreLayout, run_name: str, uid: int | None) -> str:
    """The instance's run folder, made and handed to its user."""
    path = root.run(run_name)
    atomic.make_dirs(path, 0o700)
    privileges.give_to_user(path, uid)
    return path


def take_locks(
    root: layout.StoreLayout, owner: str, run: dict[str, Any], directory: str, uid: int | None
) -> InheritedDescriptors | None:
    """Take ``alive`` and the volumes' locks; None where the instance runs already, a Problem where a volume is busy."""
    inherited = InheritedDescriptors()
    alive = locks.take(directory + "/alive")
    if alive is None:
        return None
    inherited.locks.append(alive)
    try:
        for name in run.get("volumes", ()):
            inherited.locks.append(_lock_volume(root, owner, name, uid))
    except BaseException:
        inherited.close()
        raise
    return inherited


def _lock_volume(root: layout.StoreLayout, owner: str, name: str, uid: int | None) -> int:
    directory = root.volume(owner, name)
    if not os.path.isdir(directory):
        raise errors.HostError("not-found", f"volume {name} is not on this host", "plan again: it is created there")
    descriptor = locks.take(directory + "/lock")
    if descriptor is None:
        raise errors.HostError(
            "taken", f"volume {name} is in use by a process that still runs", "retire its user first"
        )
    privileges.give_to_user(directory + "/data", uid)
    return descriptor


def spawn_process(
    argv: list[str],
    log_directory: str,
    run_directory: str,
    start_number: int,
    inherited: InheritedDescriptors,
    uid: int | None,
) -> tuple[int, int]:
    """Start the process: its pid, and a descriptor that says an errno, or closes when the program has begun."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _run_child(argv, log_directory, run_directory, start_number, inherited, uid, write_end)
    os.close(write_end)
    return pid, read_end


def _run_child(
    argv: list[str],
    log_directory: str,
    run_directory: str,
    start_number: int,
    inherited: InheritedDescriptors,
    uid: int | None,
    write_end: int,
) -> None:
    """In the child: never returns."""
    try:
        os.setsid()
        set_up_descriptors(inherited)
        run_log.append(log_directory, started_entry(os.getpid(), start_number))
        exec_hypervisor(argv, run_directory, uid)
    except OSError as error:
        os.write(write_end, str(error.errno or 1).encode())
    finally:
        os._exit(127)


def exec_hypervisor(argv: list[str], run_directory: str, uid: int | None) -> None:
    """Become the program, as its user, in its run folder. Returns only by OSError."""
    for signal_number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_NOFILE, _file_limit())
    processes.reset_priority()
    os.umask(0o077)
    os.chdir(run_directory)
    privileges.drop_to_user(uid)
    os.execve(argv[0], argv, ENVIRONMENT)


def set_up_descriptors(inherited: InheritedDescriptors) -> None:
    """Put what it inherits where it looks for it."""
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(inherited.output_writer, 1)
    os.dup2(inherited.output_writer, 2)
    for descriptor in [*inherited.locks, inherited.output_reader]:
        os.set_inheritable(descriptor, True)
    if inherited.console >= 0:
        os.dup2(inherited.console, CONSOLE_DESCRIPTOR)


def _file_limit() -> tuple[int, int]:
    """What a process usually gets, not what the supervisor raised for itself."""
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return (min(hard_limit, 1024) if hard_limit != resource.RLIM_INFINITY else 1024, hard_limit)


def started_entry(pid: int, start_number: int) -> dict[str, Any]:
    """The entry of a start: who it is beyond doubt."""
    return {
        "format": layout.FORMAT,
        "event": "started",
        "n": start_number,
        "pid": pid,
        "ticks": processes.start_ticks(pid),
        "boot": identifiers.boot_id(),
        "at": time.time(),
    }


def find_running(directory: str, run_directory: str) -> tuple[int, Any, int]:
    """(pid, start time, number of its start) of the process that holds ``alive``: as it was written down, else by
    looking through /proc, and then written down. No start time where there is none."""
    last_entry = run_log.last_entry(directory) or {}
    start_number, pid, ticks = int(last_entry.get("n", 0)) or 1, int(last_entry.get("pid", 0)), last_entry.get("ticks")
    if last_entry.get("event") != "started" or processes.start_ticks(pid) != ticks:
        pid = processes.find_holder(run_directory + "/alive")
        ticks = processes.start_ticks(pid)
        if ticks:
            run_log.append(directory, started_entry(pid, start_number))
    return pid, ticks, start_number


def start_command(root: layout.StoreLayout, owner: str, key: str, run: dict[str, Any]) -> list[str]:
    """The command line with a path to execute in front."""
    argv = launch_tokens.expand_argv(root, owner, key, run, CONSOLE_DESCRIPTOR)
    if not argv:
        raise errors.HostError("failed", f"the launch document of {key} has no command line")
    if "/" not in argv[0]:
        argv[0] = programs.find_program(argv[0]) or argv[0]
    return argv
