"""Processes, identified by pid and start time as /proc shows them. A pid alone is never an identity."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def start_ticks(pid: int) -> int:
    """Start time in clock ticks since boot; 0 where there is no such process."""
    fields = _stat_fields(pid)
    return int(fields[19]) if fields else 0


def process_state(pid: int, start_time: Any) -> str:
    """R, S, D, T, Z ... of the process with that start time; empty where it is gone."""
    fields = _stat_fields(pid) if pid > 0 else []
    return fields[0] if fields and int(fields[19]) == start_time else ""


def open_pidfd(pid: int, start_time: Any) -> int | None:
    """A pidfd of exactly that process, or None where it is gone."""
    if not 0 < pid < 1 << 31:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    if start_ticks(pid) != start_time:
        os.close(descriptor)
        return None
    return descriptor


def is_child(pid: int) -> bool:
    """Whether it is a child of this process, running or waiting to be reaped."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def send_signal(pid: int, start_time: Any, signal_number: int) -> bool:
    """Send a signal to exactly that process; False where it is gone."""
    descriptor = open_pidfd(pid, start_time)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, signal_number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def find_holder(path: str) -> int:
    """The pid of a process that has the file open (the slow way, when nobody wrote it down); 0 where there is none."""
    try:
        file_stat = os.stat(path)
    except FileNotFoundError:
        return 0
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and has_open(name, file_stat):
            return int(name)
    return 0


def has_open(pid: str, file_stat: os.stat_result) -> bool:
    """Whether a process has this very file open, as far as this user may look."""
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            open_stat = os.stat(f"/proc/{pid}/fd/{descriptor}")
            if (open_stat.st_dev, open_stat.st_ino) == (file_stat.st_dev, file_stat.st_ino):
                return True
    except OSError:
        return False
    return False


def reset_priority() -> None:
    """Give up a supervisor's being a little ahead. Who comes behind others anyway (a login may) could not, and
    stays."""
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
