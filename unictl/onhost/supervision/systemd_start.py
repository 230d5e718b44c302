"""Starts instances by their units: writes the units of the whole list, gives one order to systemd, awaits each
outcome.

What a detached daemon started before systemd supervised this host gets its unit too and keeps running.
"""

from __future__ import annotations

import os
import time

from ..instances import instance_state, record_file, run_log
from ..protocol import frames
from ..storage import guarded_read, layout, locks
from ..systemd import unit_files, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import Writable

LIMIT = 30.0
"""Seconds that one may take to start, and one more for each that starts beside it."""
POLL = (0.005, 0.05)
"""Seconds between two looks at one that begins: first, and at most."""


def start(root: Writable, owner: str, keys: list[str]) -> dict[str, Any]:
    """Have systemd start these; key -> {ok, problem?}."""
    outcomes: dict[str, Any] = {}
    found: dict[str, dict[str, Any]] = {}
    for key in keys:
        try:
            found[key] = _record(root, owner, key)
        except frames.Problem as problem:
            outcomes[key] = {"ok": False, "problem": problem.document()}
    begun = {key: Begun(root, owner, key) for key in found}
    unit_files.instances(root, owner, found)
    waiting = [one for one in begun.values() if not one.running()]
    if waiting:
        with root.fence.passing():
            units.told_to("start", "--no-block", *(one.unit for one in waiting))
    deadline = time.monotonic() + LIMIT + len(keys)
    for key, one in begun.items():
        why = one.outcome(deadline) if one in waiting else None
        outcomes[key] = {"ok": False, "problem": why.document()} if why else {"ok": True}
    return outcomes


def _record(root: layout.Root, owner: str, key: str) -> dict[str, Any]:
    folder = root.instance(owner, key)
    record: dict[str, Any] | None = record_file.read(folder)
    if record is None:
        raise frames.Problem("not-found", f"{key} is not on this host", "plan again")
    if os.path.exists(folder + "/intent"):
        raise frames.Problem("failed", f"{key} is being retired", "run apply again: it finishes that first")
    return record


class Begun:
    """One start that was ordered: how it goes."""

    def __init__(self, root: Writable, owner: str, key: str):
        self.root, self.key = root, key
        self.unit = units.name(root, owner, key)
        self.folder = root.instance(owner, key)
        self.run = root.run(layout.token(owner, key))
        self.before = int((run_log.last(self.folder) or {}).get("n", 0))
        if not self.running():
            root.remove_file(self.run + instance_state.PROBLEM)

    def running(self) -> bool:
        """Whether its hypervisor runs."""
        return locks.held(self.run + "/alive")

    def outcome(self, deadline: float) -> frames.Problem | None:
        """None once it runs, or ran; else why it does not, its unit put to rest until somebody asks again."""
        pause = POLL[0]
        while True:
            last = run_log.last(self.folder) or {}
            if int(last.get("n", 0)) > self.before and (last["event"] == "ended" or self.running()):
                return self._unstarted(last)
            problem = self._problem() or self._gone(deadline)
            if problem is not None:
                unit_files.disable(self.root, self.unit)
                units.systemctl("stop", self.unit)
                return problem
            time.sleep(pause)
            pause = min(pause * 1.5, POLL[1])

    def _unstarted(self, last: dict[str, Any]) -> frames.Problem | None:
        if last["event"] != "ended" or last.get("verdict") != "configuration":
            return None
        unit_files.disable(self.root, self.unit)
        return frames.Problem("failed", f"{self.key}: {last.get('reason')}", "the start is not tried again by itself")

    def _problem(self) -> frames.Problem | None:
        try:
            told = guarded_read.read_json(self.run + instance_state.PROBLEM)
        except frames.Problem:
            return None
        if told is None:
            return None
        return frames.Problem(told["kind"], told["text"], told["hint"], told.get("path"), told.get("errno"))

    def _gone(self, deadline: float) -> frames.Problem | None:
        """The start program itself failed, or takes too long."""
        hint = f"`journalctl -u {self.unit}` on the host tells why"
        if time.monotonic() > deadline:
            return frames.Problem("failed", f"{self.key} did not start in {LIMIT:.0f} s", hint)
        if any(name.startswith("exit.") for name in layout.names(self.run)) and not units.coming(self.unit):
            return frames.Problem("failed", f"the start of {self.key} failed", hint)
        return None


def renew(root: Writable, owner: str) -> None:
    """Units and keeper run the code at hand from now on: after an upgrade. No guest notices."""
    found = {}
    for key in root.keys(owner):
        if units.written(units.name(root, owner, key)):
            try:
                found[key] = _record(root, owner, key)
            except frames.Problem:
                continue
    unit_files.instances(root, owner, found, at_boot=False)
    with root.fence.passing():
        units.told_to("restart", units.name(root, owner))


def adopt(root: Writable, owner: str, keys: list[str]) -> None:
    """Give units to what runs, or waits to run again, without one that starts it at boot."""
    found = {}
    for key in keys:
        if not units.at_boot(root, owner, key):
            try:
                found[key] = _record(root, owner, key)
            except frames.Problem:
                continue
    if found:
        unit_files.instances(root, owner, found)
        # Systemd may have been told of a file that was gone.
        units.told_to("daemon-reload")
