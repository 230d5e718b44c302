"""The two ways to learn how an instance ended: by waiting for a child, or by what its systemd unit wrote down.

Each is an ``ExitSource`` of ``supervised_process``.
"""

from __future__ import annotations

import os
import signal
import time

from ..hypervisors import drivers
from ..instances import claims, run_log
from ..platform import processes
from ..storage import guarded_read
from ..systemd import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..platform.event_loop import EventLoop

EXIT_FACTS_TIMEOUT = 3.0
"""Seconds that systemd may take to tell how a process ended."""
POLL_INTERVAL = 0.005
HOST_SHUTDOWN = "the host shut down"
UNEXPLAINED_EXIT = "nobody heard why it ended with status 0"


class ExitFacts:
    """How a process ended, as its parent saw it: an exit status or a signal, neither where nobody knows."""

    __slots__ = ("cause", "signal", "status", "unit_stopped")

    def __init__(
        self,
        status: int | None = None,
        signal_number: int | None = None,
        cause: str | None = None,
        unit_stopped: bool = False,
    ):
        self.status = status
        self.signal = signal_number
        self.cause = cause
        """What the parent knows of the reason, such as ``out-of-memory``."""
        self.unit_stopped = unit_stopped
        """Whether its unit was told to stop while it ran."""


class ChildExitSource:
    """Reaps children of this process; of any other process nobody knows how it ended."""

    def collect(self, child_pid: int, on_facts: Callable[[ExitFacts], None]) -> None:
        """At once."""
        on_facts(_reap(child_pid) if child_pid else ExitFacts())

    def unseen(self, last_entry: dict[str, Any]) -> ExitFacts | None:
        """Known where it ended while this process changed its code."""
        pid = int(last_entry.get("pid", 0))
        return _reap(pid) if processes.is_child(pid) else None

    def is_recorded(self, start_number: int) -> bool:  # noqa: ARG002 - an exit source
        """Never: only the daemon writes it down."""
        return False

    def correct(self, end: dict[str, Any], had_monitor: bool) -> None:
        """All of it was seen."""

    def outside_cause(self, facts: ExitFacts, end: dict[str, Any]) -> str:  # noqa: ARG002 - an exit source
        """Nothing but the daemon stops its children."""
        return ""


def _reap(child_pid: int) -> ExitFacts:
    _, status = os.waitpid(child_pid, 0)
    if os.WIFSIGNALED(status):
        return ExitFacts(signal_number=os.WTERMSIG(status))
    return ExitFacts(status=os.WEXITSTATUS(status))


class UnitExitSource:
    """Reads what a unit writes down after each run; of one that systemd did not start nobody knows."""

    def __init__(self, loop: EventLoop, directory: str, run_directory: str):
        self._loop = loop
        self._directory = directory
        self._run_directory = run_directory

    def collect(self, child_pid: int, on_facts: Callable[[ExitFacts], None]) -> None:  # noqa: ARG002 - an exit source
        """Systemd reaps it, so wait for what it tells."""
        invocation = (run_log.last_entry(self._directory) or {}).get("invocation", "")
        self._poll(invocation, time.monotonic() + (EXIT_FACTS_TIMEOUT if invocation else 0), on_facts)

    def _poll(self, invocation: str, deadline: float, on_facts: Callable[[ExitFacts], None]) -> None:
        facts = read_exit_facts(self._run_directory, invocation)
        if facts is None and time.monotonic() < deadline:
            self._loop.call_later(POLL_INTERVAL, lambda: self._poll(invocation, deadline, on_facts))
            return
        on_facts(facts or ExitFacts())

    def unseen(self, last_entry: dict[str, Any]) -> ExitFacts | None:
        """Known to systemd, except for what only a monitor hears."""
        facts = read_exit_facts(self._run_directory, last_entry.get("invocation", ""))
        if facts is not None and facts.status == 0 and facts.cause is None and self._has_monitor():
            return ExitFacts(cause=UNEXPLAINED_EXIT, unit_stopped=facts.unit_stopped)
        return facts

    def _has_monitor(self) -> bool:
        run_spec = claims.run_spec(self._directory)
        driver = drivers.driver_of(run_spec)
        # Of a record that cannot be read nothing is known: then its exit counts as unexplained.
        return driver is None or driver.has_monitor(run_spec["argv"])

    def is_recorded(self, start_number: int) -> bool:
        """Whether the start program wrote it down itself."""
        last_entry = run_log.last_entry(self._directory) or {}
        return last_entry.get("event") == "ended" and last_entry.get("n") == start_number

    def correct(self, end: dict[str, Any], had_monitor: bool) -> None:
        """A hypervisor with a monitor may end with status 0 for a shutdown, a reset and a triple fault alike, as QEMU
        does: without its reason nothing is known."""
        if had_monitor and end["status"] == 0 and end["reason"] is None:
            end.update(status=None, reason=UNEXPLAINED_EXIT)

    def outside_cause(self, facts: ExitFacts, end: dict[str, Any]) -> str:
        """The host goes down, or somebody stopped the unit."""
        was_signalled = end["reason"] == "host-signal" or end["signal"] in (signal.SIGTERM, signal.SIGKILL)
        if was_signalled and units.is_shutting_down():
            return HOST_SHUTDOWN
        return run_log.UNIT_STOPPED if facts.unit_stopped else ""


def read_exit_facts(run_directory: str, invocation: str) -> ExitFacts | None:
    """What systemd told after that start of a unit; None while it did not."""
    fields = (
        (guarded_read.read_bytes(f"{run_directory}/exit.{invocation}") or b"").decode().split() if invocation else []
    )
    unit_stopped = fields[:1] == ["stop"]
    fields = fields[unit_stopped:]
    if len(fields) < 3:
        return None
    result, kind, value, *oom_kills = fields
    out_of_memory = result == "oom-kill" or (oom_kills and oom_kills[0] != "0" and value in ("KILL", "9"))
    cause = "out-of-memory" if out_of_memory else None
    if kind == "exited":
        return ExitFacts(status=int(value), cause=cause, unit_stopped=unit_stopped)
    return ExitFacts(signal_number=_signal_number(value), cause=cause, unit_stopped=unit_stopped)


def _signal_number(name: str) -> int:
    """``KILL`` or ``9`` as a number."""
    if name.isdigit():
        return int(name)
    number = getattr(signal, "SIG" + name, None)
    return int(number) if number is not None else 0
