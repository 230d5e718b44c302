"""The health gate of one instance: runs its probes until all passed without a break for long enough, or time is up.

A single check is in ``health_probes``. Nothing here writes, starts or stops anything.
"""

from __future__ import annotations

import os
import time

from .. import errors
from ..instances import console_log, instance_state
from ..storage import layout
from .health_probes import Probe, format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FIRST_RETRY = 0.005
"""Seconds between the first tries: a guest that boots in 50 ms is seen at once."""
FIRST_TIMEOUT = 0.02
"""Seconds the first tries have: a connection made before the guest listens may hang although the next one succeeds."""
STATE_INTERVAL = 0.25
"""Seconds between two looks at the process."""
STATE_INTERVAL_STARTING = 0.02
"""The same while it is only being started."""


class HealthGate:
    """One instance on its way to be proven."""

    def __init__(self, root: layout.StoreLayout, request: dict[str, Any]):
        self.root, self.owner, self.key = root, request["owner"], request["key"]
        self.directory = root.instance(self.owner, self.key)
        if not os.path.isdir(self.directory):
            raise errors.HostError("not-found", f"there is no instance {self.key} on this host", "plan again")
        self.probes = [Probe(self.directory, probe) for probe in request.get("probes") or () if probe["kind"] != "udp"]
        self.min_healthy_seconds = float(request.get("min_healthy_time") or 0) / 1000
        self.started_at = time.monotonic()
        self.deadline = self.started_at + float(request.get("healthy_deadline") or 30_000) / 1000
        self.healthy_since = 0.0
        self.next_look_at = 0.0
        self.instance_state = self._read_state()
        self.start_count = int(self.instance_state["starts"])

    def failure_reason(self) -> str:
        """Why it will not become healthy any more; empty while it may."""
        if time.monotonic() >= self.next_look_at:
            self.instance_state = self._read_state()
        end, start_count = self.instance_state["end"], self.instance_state["starts"]
        if end is not None:
            return _with_console(_end_summary(end), end.get("console") or console_log.last_lines(self.directory))
        if self.instance_state["state"] in ("leaving", "lost", "damaged"):
            return f"it does not run: {self.instance_state['state']}"
        if self.start_count and start_count != self.start_count:
            return _with_console("it ended and was started again", console_log.last_lines(self.directory))
        self.start_count = start_count
        return ""

    def _read_state(self) -> dict[str, Any]:
        self.next_look_at = time.monotonic() + STATE_INTERVAL
        # Whether a supervisor watches it is not asked: that does not make it more or less healthy.
        return instance_state.read_state(self.root, self.owner, self.key, True)

    def is_overdue(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline

    def run_checks(self) -> None:
        """Make the checks that are due; one failure, or a process that is not there, begins the time anew."""
        is_running = self.instance_state["state"] in ("running", "unsupervised")
        results = [self._run_check(probe) for probe in self.probes if probe.due_at <= time.monotonic()]
        if not all(results):
            # A guest that ended refuses its connections: look now, not at the next round.
            self.next_look_at = 0.0
        elif not is_running:
            self.next_look_at = min(self.next_look_at, time.monotonic() + STATE_INTERVAL_STARTING)
        if not is_running or not all(probe.passed_at for probe in self.probes):
            self.healthy_since = 0.0
        elif not self.healthy_since:
            self.healthy_since = time.monotonic()

    def _run_check(self, probe: Probe) -> bool:
        check_started = time.monotonic()
        age = check_started - self.started_at
        limit = probe.timeout if probe.has_passed else min(probe.timeout, max(FIRST_TIMEOUT, age / 4))
        previous_message, time_limit = probe.message, max(0.001, min(limit, self.deadline - check_started))
        passed = probe.check(time_limit)
        if not passed and previous_message and time_limit < limit:
            # Cut short by the deadline: what an earlier check heard says more than that this one heard nothing.
            probe.message = previous_message
        probe.due_at = time.monotonic() + (
            probe.interval if probe.has_passed else min(probe.interval, max(FIRST_RETRY, age / 8))
        )
        return passed

    def is_proven(self) -> bool:
        """Whether all passed for long enough, with a last check after that time."""
        if not self.healthy_since:
            return False
        proven_at = self.healthy_since + self.min_healthy_seconds
        if not self.min_healthy_seconds or not self.probes:
            return time.monotonic() >= proven_at
        return all(probe.passed_at >= proven_at for probe in self.probes)

    def next_pause(self) -> float:
        """Seconds until something is due."""
        current_time = time.monotonic()
        due_times = [probe.due_at for probe in self.probes] + [
            self.deadline,
            max(self.next_look_at, current_time + FIRST_RETRY),
        ]
        if self.healthy_since:
            proven_at = self.healthy_since + self.min_healthy_seconds
            for probe in self.probes if current_time <= proven_at else ():
                probe.due_at = min(probe.due_at, proven_at)
            due_times += [probe.due_at for probe in self.probes] or [proven_at]
        return max(0.0, min(due_times) - current_time)

    def build_reply(self, healthy: bool, reason: str) -> dict[str, Any]:
        """The reply of ``await``."""
        return {"healthy": healthy, "took": round((time.monotonic() - self.started_at) * 1000), "why": reason}

    def success_message(self) -> str:
        """What was proven, for people."""
        return "; ".join(probe.message for probe in self.probes) or "it runs (process only: it has no health check)"

    def timeout_message(self) -> str:
        """Why the deadline passed."""
        summary = f"not healthy within {format_seconds(self.deadline - self.started_at)}"
        failing = [probe.message for probe in self.probes if not probe.passed_at]
        if not failing and self.healthy_since:
            healthy_for = format_seconds(time.monotonic() - self.healthy_since)
            return f"{summary}: it has passed for {healthy_for} of {format_seconds(self.min_healthy_seconds)}"
        reason = "; ".join(failing) or f"it is {self.instance_state['state']}"
        return _with_console(f"{summary}: {reason}", console_log.last_lines(self.directory))


class JobGate(HealthGate):
    """One run of a job on its way to its end: proven by a clean one."""

    def failure_reason(self) -> str:
        """Why it will not end well any more; empty while it may, and when it has."""
        reason = super().failure_reason()
        return "" if self.is_proven() else reason

    def run_checks(self) -> None:
        """Nothing is asked of a job."""

    def is_proven(self) -> bool:
        """Whether it ended well."""
        return (self.instance_state["end"] or {}).get("verdict") == "clean"

    def timeout_message(self) -> str:
        """What is said at the deadline."""
        return _with_console(
            f"it did not end within {format_seconds(self.deadline - self.started_at)}",
            console_log.last_lines(self.directory),
        )

    def success_message(self) -> str:
        """What is said of a good end."""
        return "ended well"


def _end_summary(end: dict[str, Any]) -> str:
    """``it ended: crash (signal 11)`` of end facts."""
    details = [f"{name} {end[name]}" for name in ("code", "status", "signal", "reason") if end.get(name) is not None]
    return f"it ended: {end.get('verdict', 'unknown')}" + (f" ({', '.join(details)})" if details else "")


def _with_console(reason: str, lines: list[str]) -> str:
    return "\n".join([reason + (", its console last said:" if lines else ", its console is empty"), *lines])
