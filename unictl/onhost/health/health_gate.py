"""The health gate of one instance: runs its probes until all passed without a break for long enough, or time is
up.

A single check is in ``health_probes``. Nothing here writes, starts or stops anything.
"""

from __future__ import annotations

import os
import time

from ..instances import console_log, instance_state
from ..protocol import frames
from ..storage import layout
from .health_probes import Probe, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RETRY = 0.005
"""Seconds between the first tries: a guest that boots in 50 ms is seen at once."""
FIRST_LIMIT = 0.02
"""Seconds the first tries have: a connection made before the guest listens may hang although the next one succeeds."""
LOOK = 0.25
"""Seconds between two looks at the process."""
LOOK_BEGUN = 0.02
"""The same while it is only being started."""


def await_(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Wait until every probe has passed without a break for ``min_healthy_time``, at most ``healthy_deadline`` (ms); of
    a ``job``, until it has ended well."""
    gate = JobGate(root, ask) if ask.get("job") else Gate(root, ask)
    while True:
        why = gate.ended()
        if why or gate.over():
            return gate.reply(False, why or gate.late())
        gate.check()
        if gate.proven():
            return gate.reply(True, gate.told())
        if call.cancelled.wait(gate.pause()):
            raise frames.Problem("cancelled", f"waiting for {gate.key} to be healthy was cancelled")


def health(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """One round of the checks now: {healthy, why}."""
    gate = Gate(root, ask)
    why = gate.ended()
    if not why and gate.state["state"] == "begun":
        why = "it was never started"
    failed = [] if why else [probe.why for probe in gate.probes if not probe.passes(probe.timeout)]
    return {"healthy": not (why or failed), "why": why or "; ".join(failed) or gate.told()}


class Gate:
    """One instance on its way to be proven."""

    def __init__(self, root: layout.Root, ask: dict[str, Any]):
        self.root, self.owner, self.key = root, ask["owner"], ask["key"]
        self.folder = root.instance(self.owner, self.key)
        if not os.path.isdir(self.folder):
            raise frames.Problem("not-found", f"there is no instance {self.key} on this host", "plan again")
        self.probes = [Probe(self.folder, probe) for probe in ask.get("probes") or () if probe["kind"] != "udp"]
        self.enough = float(ask.get("min_healthy_time") or 0) / 1000
        self.begun = time.monotonic()
        self.deadline = self.begun + float(ask.get("healthy_deadline") or 30_000) / 1000
        self.since = 0.0
        self.look_at = 0.0
        self.state = self._look()
        self.starts = int(self.state["starts"])

    def ended(self) -> str:
        """Why it will not become healthy any more; empty while it may."""
        if time.monotonic() >= self.look_at:
            self.state = self._look()
        end, starts = self.state["end"], self.state["starts"]
        if end is not None:
            return _with_console(_ending(end), end.get("console") or console_log.tail(self.folder))
        if self.state["state"] in ("leaving", "lost", "damaged"):
            return f"it does not run: {self.state['state']}"
        if self.starts and starts != self.starts:
            return _with_console("it ended and was started again", console_log.tail(self.folder))
        self.starts = starts
        return ""

    def _look(self) -> dict[str, Any]:
        self.look_at = time.monotonic() + LOOK
        # Whether a keeper watches it is not asked: that does not make it more or less healthy.
        return instance_state.state(self.root, self.owner, self.key, True)

    def over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline

    def check(self) -> None:
        """Make the checks that are due; one failure, or a process that is not there, begins the time anew."""
        running = self.state["state"] in ("running", "unsupervised")
        passed = [self._check(probe) for probe in self.probes if probe.due <= time.monotonic()]
        if not all(passed):
            # A guest that ended refuses its connections: look now, not at the next round.
            self.look_at = 0.0
        elif not running:
            self.look_at = min(self.look_at, time.monotonic() + LOOK_BEGUN)
        if not running or not all(probe.passed_at for probe in self.probes):
            self.since = 0.0
        elif not self.since:
            self.since = time.monotonic()

    def _check(self, probe: Probe) -> bool:
        began = time.monotonic()
        age = began - self.begun
        limit = probe.timeout if probe.seen else min(probe.timeout, max(FIRST_LIMIT, age / 4))
        said, granted = probe.why, max(0.001, min(limit, self.deadline - began))
        passed = probe.passes(granted)
        if not passed and said and granted < limit:
            # Cut short by the deadline: what an earlier check heard says more than that this one heard nothing.
            probe.why = said
        probe.due = time.monotonic() + (probe.interval if probe.seen else min(probe.interval, max(RETRY, age / 8)))
        return passed

    def proven(self) -> bool:
        """Whether all passed for long enough, with a last check after that time."""
        if not self.since:
            return False
        proven_at = self.since + self.enough
        if not self.enough or not self.probes:
            return time.monotonic() >= proven_at
        return all(probe.passed_at >= proven_at for probe in self.probes)

    def pause(self) -> float:
        """Seconds until something is due."""
        now = time.monotonic()
        times = [probe.due for probe in self.probes] + [self.deadline, max(self.look_at, now + RETRY)]
        if self.since:
            proven_at = self.since + self.enough
            for probe in self.probes if now <= proven_at else ():
                probe.due = min(probe.due, proven_at)
            times += [probe.due for probe in self.probes] or [proven_at]
        return max(0.0, min(times) - now)

    def reply(self, healthy: bool, why: str) -> dict[str, Any]:
        """The reply of ``await``."""
        return {"healthy": healthy, "took": round((time.monotonic() - self.begun) * 1000), "why": why}

    def told(self) -> str:
        """What was proven, for people."""
        return "; ".join(probe.why for probe in self.probes) or "it runs (process only: it has no health check)"

    def late(self) -> str:
        """Why the deadline passed."""
        within = f"not healthy within {seconds(self.deadline - self.begun)}"
        failing = [probe.why for probe in self.probes if not probe.passed_at]
        if not failing and self.since:
            passing = seconds(time.monotonic() - self.since)
            return f"{within}: it has passed for {passing} of {seconds(self.enough)}"
        why = "; ".join(failing) or f"it is {self.state['state']}"
        return _with_console(f"{within}: {why}", console_log.tail(self.folder))


class JobGate(Gate):
    """One run of a job on its way to its end: proven by a clean one."""

    def ended(self) -> str:
        """Why it will not end well any more; empty while it may, and when it has."""
        why = super().ended()
        return "" if self.proven() else why

    def check(self) -> None:
        """Nothing is asked of a job."""

    def proven(self) -> bool:
        """Whether it ended well."""
        return (self.state["end"] or {}).get("verdict") == "clean"

    def late(self) -> str:
        """What is said at the deadline."""
        return _with_console(
            f"it did not end within {seconds(self.deadline - self.begun)}", console_log.tail(self.folder)
        )

    def told(self) -> str:
        """What is said of a good end."""
        return "ended well"


def _ending(end: dict[str, Any]) -> str:
    """``it ended: crash (signal 11)`` of end facts."""
    facts = [f"{name} {end[name]}" for name in ("code", "status", "signal", "reason") if end.get(name) is not None]
    return f"it ended: {end.get('verdict', 'unknown')}" + (f" ({', '.join(facts)})" if facts else "")


def _with_console(why: str, lines: list[str]) -> str:
    return "\n".join([why + (", its console last said:" if lines else ", its console is empty"), *lines])
