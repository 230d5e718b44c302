"""One instance under systemd as the daemon sees it: systemd is the parent, starts it, and reports how it ended.

Everything else is as with the daemon's own children: console, monitor, verdict, back-off.
"""

from __future__ import annotations

import signal
import time

from ..instances import claims, exits, run_log
from ..storage import fenced_store, guarded_read, layout, locks
from ..systemd import unit_files, units
from . import supervised_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TOLD = 3.0
"""Seconds that systemd may take to tell how a process ended."""
POLL = 0.005
UNHEARD = "nobody heard why it ended with status 0"


class Ward(supervised_process.Guest):
    """``state`` is idle, running, waiting (back-off) or asked (systemd is to start it)."""

    _unit_stopped = False

    @property
    def unit(self) -> str:
        """Its unit."""
        return units.name(self.root, self.owner, self.key)

    def adopt(self) -> None:
        """Listen to the one that runs; from now on it also starts at boot."""
        if self.state == "running":
            if (run_log.last(self.folder) or {}).get("pid") == self._pid:
                return
            self._close()
        super().adopt()
        if not self._leaving():
            unit_files.enable(fenced_store.free(self.root), self.unit)

    def _ended(self) -> None:
        """Systemd reaps it, so wait for what it tells; of one that it did not start nobody knows."""
        self.loop.forget(self._pidfd)
        invocation = (run_log.last(self.folder) or {}).get("invocation", "")
        self._await_facts(invocation, time.monotonic() + (TOLD if invocation else 0))

    def _await_facts(self, invocation: str, deadline: float) -> None:
        end = told(self.run, invocation)
        if end is None and time.monotonic() < deadline:
            self.loop.after(POLL, lambda: self._await_facts(invocation, deadline))
            return
        self._finish(self._caused(end or {"status": None, "signal": None}))

    def _caused(self, end: dict[str, Any]) -> dict[str, Any]:
        """The end with its reason, without what systemd told of that."""
        self._unit_stopped = end.pop("stopped", False)
        self._reason = self._reason or end.pop("cause", None)
        return dict(end, reason=self._reason)

    def _drain(self, end: dict[str, Any]) -> None:
        monitored = self._monitor is not None
        super()._drain(end)
        unheard(end, monitored)

    def _judge(self, end: dict[str, Any]) -> None:
        last = run_log.last(self.folder) or {}
        if last.get("event") == "ended" and last.get("n") == self.number:
            # The start program wrote itself that it could not become the hypervisor.
            self._after_end(False)
        elif self._with_host(end):
            exits.write(self.folder, self.number, dict(end, reason="the host shut down"), "stopped", pause=0.0)
            self._at_rest()
        elif self._unit_stopped and not self._stopping and not self._leaving():
            # By hand: it stays down until somebody starts the unit, or an apply the instance, or the host boots.
            exits.write(self.folder, self.number, dict(end, reason=run_log.UNIT_STOPPED), "killed")
            super()._after_end(False)
        else:
            super()._judge(end)

    def _with_host(self, end: dict[str, Any]) -> bool:
        """Whether it ended because the host goes down: then it starts again with it."""
        sent = end.get("reason") == "host-signal" or end.get("signal") in (signal.SIGTERM, signal.SIGKILL)
        return sent and not self._stopping and not self._leaving() and units.shutting_down()

    def _after_end(self, again: bool) -> None:
        if not again:
            unit_files.disable(fenced_store.free(self.root), self.unit)
        super()._after_end(again)

    def _at_rest(self) -> None:
        self.state = "asked"
        self._cancel()

    def _restart(self) -> None:
        layout.folders(self.run, 0o700)
        units.told_to("start", "--no-block", self.unit)
        self._at_rest()

    def found(self) -> None:
        """As with a keeper's own, but an end that nobody saw is known to systemd."""
        last = run_log.last(self.folder) or {}
        unseen = last.get("event") == "started" and last.get("boot") == layout.boot_id()
        end = told(self.run, last.get("invocation", "")) if unseen else None
        if end is None or self._leaving() or locks.held(self.run + "/alive"):
            super().found()
            return
        self.state, self.number, self._reason = "idle", int(last.get("n", 0)), None
        end = self._caused(end)
        unheard(end, self._monitored())
        self._judge(end)

    def _monitored(self) -> bool:
        argv = claims.run_of(self.folder)["argv"]
        return not argv or any("{run}/qmp" in word for word in argv)


def unheard(end: dict[str, Any], monitored: bool) -> None:
    """QEMU ends with status 0 for a shutdown, a reset and a triple fault alike: without its reason nothing is known."""
    if monitored and end.get("status") == 0 and end.get("reason") is None:
        end.update(status=None, reason=UNHEARD)


def told(run: str, invocation: str) -> dict[str, Any] | None:
    """{status, signal, cause, stopped} as systemd told after that start of a unit; None while it did not."""
    said = (guarded_read.read_bytes(f"{run}/exit.{invocation}") or b"").decode().split() if invocation else []
    stopped = said[:1] == ["stop"]
    said = said[stopped:]
    if len(said) < 3:
        return None
    result, kind, value, *killed = said
    starved = result == "oom-kill" or (killed and killed[0] != "0" and value in ("KILL", "9"))
    cause = "out-of-memory" if starved else None
    if kind == "exited":
        return {"status": int(value), "signal": None, "cause": cause, "stopped": stopped}
    return {"status": None, "signal": _number(value), "cause": cause, "stopped": stopped}


def _number(name: str) -> int:
    """``KILL`` or ``9`` as a number."""
    if name.isdigit():
        return int(name)
    found = getattr(signal, "SIG" + name, None)
    return int(found) if found is not None else 0
