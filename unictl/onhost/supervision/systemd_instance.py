"""One instance under systemd as the daemon sees it: systemd is the parent, starts it, and reports how it ended.

Everything else is as with the daemon's own children: console, monitor, verdict, back-off.
"""

from __future__ import annotations

import signal
import time

from ..hypervisors import drivers
from ..instances import claims, exits, run_log
from ..storage import atomic, fenced_store, guarded_read, identifiers, locks
from ..systemd import unit_files, units
from . import supervised_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXIT_FACTS_TIMEOUT = 3.0
"""Seconds that systemd may take to tell how a process ended."""
POLL_INTERVAL = 0.005
UNEXPLAINED_EXIT = "nobody heard why it ended with status 0"


class SystemdInstance(supervised_process.SupervisedProcess):
    """``state`` is idle, running, waiting (back-off) or asked (systemd is to start it)."""

    _unit_stopped = False

    @property
    def unit(self) -> str:
        """Its unit."""
        return units.unit_name(self.root, self.owner, self.key)

    def adopt(self) -> None:
        """Listen to the one that runs; from now on it also starts at boot."""
        if self.state == "running":
            if (run_log.last_entry(self.directory) or {}).get("pid") == self._pid:
                return
            self._close_sources()
        super().adopt()
        if not self._is_retiring():
            unit_files.enable(fenced_store.unfenced(self.root), self.unit)

    def _on_exit(self) -> None:
        """Systemd reaps it, so wait for what it tells; of one that it did not start nobody knows."""
        self.loop.unwatch(self._pidfd)
        invocation = (run_log.last_entry(self.directory) or {}).get("invocation", "")
        self._await_exit_facts(invocation, time.monotonic() + (EXIT_FACTS_TIMEOUT if invocation else 0))

    def _await_exit_facts(self, invocation: str, deadline: float) -> None:
        end = read_exit_facts(self.run_directory, invocation)
        if end is None and time.monotonic() < deadline:
            self.loop.call_later(POLL_INTERVAL, lambda: self._await_exit_facts(invocation, deadline))
            return
        self._finish(self._with_cause(end or {"status": None, "signal": None}))

    def _with_cause(self, end: dict[str, Any]) -> dict[str, Any]:
        """The end with its reason, without what systemd told of that."""
        self._unit_stopped = end.pop("stopped", False)
        self._reason = self._reason or end.pop("cause", None)
        return dict(end, reason=self._reason)

    def _drain(self, end: dict[str, Any]) -> None:
        had_monitor = self._monitor is not None
        super()._drain(end)
        discard_unexplained_exit(end, had_monitor)

    def _judge(self, end: dict[str, Any]) -> None:
        last_entry = run_log.last_entry(self.directory) or {}
        if last_entry.get("event") == "ended" and last_entry.get("n") == self.number:
            # The start program wrote itself that it could not become the hypervisor.
            self._after_exit(False)
        elif self._ended_with_host(end):
            exits.record_exit(self.directory, self.number, dict(end, reason="the host shut down"), "stopped", pause=0.0)
            self._await_systemd()
        elif self._unit_stopped and not self._stopping and not self._is_retiring():
            # By hand: it stays down until somebody starts the unit, or an apply the instance, or the host boots.
            exits.record_exit(self.directory, self.number, dict(end, reason=run_log.UNIT_STOPPED), "killed")
            super()._after_exit(False)
        else:
            super()._judge(end)

    def _ended_with_host(self, end: dict[str, Any]) -> bool:
        """Whether it ended because the host goes down: then it starts again with it."""
        was_signalled = end.get("reason") == "host-signal" or end.get("signal") in (signal.SIGTERM, signal.SIGKILL)
        return was_signalled and not self._stopping and not self._is_retiring() and units.is_shutting_down()

    def _after_exit(self, restarts: bool) -> None:
        if not restarts:
            unit_files.disable(fenced_store.unfenced(self.root), self.unit)
        super()._after_exit(restarts)

    def _await_systemd(self) -> None:
        self.state = "asked"
        self._cancel_timer()

    def _restart(self) -> None:
        atomic.make_dirs(self.run_directory, 0o700)
        units.systemctl_checked("start", "--no-block", self.unit)
        self._await_systemd()

    def recover(self) -> None:
        """As with a keeper's own, but an end that nobody saw is known to systemd."""
        last_entry = run_log.last_entry(self.directory) or {}
        is_unjudged = last_entry.get("event") == "started" and last_entry.get("boot") == identifiers.boot_id()
        end = read_exit_facts(self.run_directory, last_entry.get("invocation", "")) if is_unjudged else None
        if end is None or self._is_retiring() or locks.is_locked(self.run_directory + "/alive"):
            super().recover()
            return
        self.state, self.number, self._reason = "idle", int(last_entry.get("n", 0)), None
        end = self._with_cause(end)
        discard_unexplained_exit(end, self._has_monitor())
        self._judge(end)

    def _has_monitor(self) -> bool:
        run_spec = claims.run_spec(self.directory)
        driver = drivers.driver_of(run_spec)
        # Of a record that cannot be read nothing is known: then its exit counts as unexplained.
        return driver is None or driver.has_monitor(run_spec["argv"])


def discard_unexplained_exit(end: dict[str, Any], had_monitor: bool) -> None:
    """A hypervisor with a monitor may end with status 0 for a shutdown, a reset and a triple fault alike, as QEMU does:
    without its reason nothing is known."""
    if had_monitor and end.get("status") == 0 and end.get("reason") is None:
        end.update(status=None, reason=UNEXPLAINED_EXIT)


def read_exit_facts(run_directory: str, invocation: str) -> dict[str, Any] | None:
    """{status, signal, cause, stopped} as systemd told after that start of a unit; None while it did not."""
    fields = (
        (guarded_read.read_bytes(f"{run_directory}/exit.{invocation}") or b"").decode().split() if invocation else []
    )
    stopped = fields[:1] == ["stop"]
    fields = fields[stopped:]
    if len(fields) < 3:
        return None
    result, kind, value, *oom_kills = fields
    out_of_memory = result == "oom-kill" or (oom_kills and oom_kills[0] != "0" and value in ("KILL", "9"))
    cause = "out-of-memory" if out_of_memory else None
    if kind == "exited":
        return {"status": int(value), "signal": None, "cause": cause, "stopped": stopped}
    return {"status": None, "signal": _signal_number(value), "cause": cause, "stopped": stopped}


def _signal_number(name: str) -> int:
    """``KILL`` or ``9`` as a number."""
    if name.isdigit():
        return int(name)
    number = getattr(signal, "SIG" + name, None)
    return int(number) if number is not None else 0
