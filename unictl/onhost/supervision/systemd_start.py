"""Starts instances by their units: writes the units of the whole list, gives one order to systemd, awaits each
outcome.

What a detached daemon started before systemd supervised this host gets its unit too and keeps running.
"""

from __future__ import annotations

import os
import time

from .. import errors
from ..instances import instance_state, record_file, run_log
from ..storage import guarded_read, identifiers, layout, locks
from ..systemd import unit_files, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import FencedStore

START_TIMEOUT = 30.0
"""Seconds that one may take to start, and one more for each that starts beside it."""
POLL_INTERVALS = (0.005, 0.05)
"""Seconds between two looks at one that begins: first, and at most."""


def start(root: FencedStore, owner: str, keys: list[str]) -> dict[str, Any]:
    """Have systemd start these; key -> {ok, problem?}."""
    outcomes: dict[str, Any] = {}
    records_by_key: dict[str, dict[str, Any]] = {}
    for key in keys:
        try:
            records_by_key[key] = _read_record(root, owner, key)
        except errors.HostError as problem:
            outcomes[key] = {"ok": False, "problem": problem.to_document()}
    pending_starts = {key: PendingStart(root, owner, key) for key in records_by_key}
    unit_files.write_instances(root, owner, records_by_key)
    waiting = [pending_start for pending_start in pending_starts.values() if not pending_start.is_running()]
    if waiting:
        with root.fence.enter():
            units.systemctl_checked("start", "--no-block", *(pending_start.unit for pending_start in waiting))
    deadline = time.monotonic() + START_TIMEOUT + len(keys)
    for key, pending_start in pending_starts.items():
        host_error = pending_start.await_failure(deadline) if pending_start in waiting else None
        outcomes[key] = {"ok": False, "problem": host_error.to_document()} if host_error else {"ok": True}
    return outcomes


def _read_record(root: layout.StoreLayout, owner: str, key: str) -> dict[str, Any]:
    directory = root.instance(owner, key)
    document: dict[str, Any] | None = record_file.read_record(directory)
    if document is None:
        raise errors.HostError("not-found", f"{key} is not on this host", "plan again")
    if os.path.exists(directory + "/intent"):
        raise errors.HostError("failed", f"{key} is being retired", "run apply again: it finishes that first")
    return document


class PendingStart:
    """One start that was ordered: how it goes."""

    def __init__(self, root: FencedStore, owner: str, key: str):
        self.root, self.key = root, key
        self.unit = units.unit_name(root, owner, key)
        self.directory = root.instance(owner, key)
        self.run_directory = root.run(identifiers.run_dir_name(owner, key))
        self.previous_number = int((run_log.last_entry(self.directory) or {}).get("n", 0))
        if not self.is_running():
            root.remove_file(self.run_directory + instance_state.PROBLEM_FILE)

    def is_running(self) -> bool:
        """Whether its hypervisor runs."""
        return locks.is_locked(self.run_directory + "/alive")

    def await_failure(self, deadline: float) -> errors.HostError | None:
        """None once it runs, or ran; else why it does not, its unit put to rest until somebody asks again."""
        pause = POLL_INTERVALS[0]
        while True:
            last_entry = run_log.last_entry(self.directory) or {}
            if int(last_entry.get("n", 0)) > self.previous_number and (
                last_entry["event"] == "ended" or self.is_running()
            ):
                return self._configuration_error(last_entry)
            problem = self._reported_error() or self._start_failure(deadline)
            if problem is not None:
                unit_files.disable(self.root, self.unit)
                units.systemctl("stop", self.unit)
                return problem
            time.sleep(pause)
            pause = min(pause * 1.5, POLL_INTERVALS[1])

    def _configuration_error(self, last_entry: dict[str, Any]) -> errors.HostError | None:
        if last_entry["event"] != "ended" or last_entry.get("verdict") != "configuration":
            return None
        unit_files.disable(self.root, self.unit)
        return errors.HostError(
            "failed", f"{self.key}: {last_entry.get('reason')}", "the start is not tried again by itself"
        )

    def _reported_error(self) -> errors.HostError | None:
        try:
            report = guarded_read.read_json(self.run_directory + instance_state.PROBLEM_FILE)
        except errors.HostError:
            return None
        if report is None:
            return None
        return errors.HostError(report["kind"], report["text"], report["hint"], report.get("path"), report.get("errno"))

    def _start_failure(self, deadline: float) -> errors.HostError | None:
        """The start program itself failed, or takes too long."""
        hint = f"`journalctl -u {self.unit}` on the host tells why"
        if time.monotonic() > deadline:
            return errors.HostError("failed", f"{self.key} did not start in {START_TIMEOUT:.0f} s", hint)
        if any(
            name.startswith("exit.") for name in guarded_read.list_names(self.run_directory)
        ) and not units.is_activating(self.unit):
            return errors.HostError("failed", f"the start of {self.key} failed", hint)
        return None


def start_daemon(root: FencedStore, owner: str) -> None:
    """Have systemd start the daemon; returns when it listens."""
    unit_files.write_supervisor(root, owner)
    with root.fence.enter():
        units.systemctl_checked("start", units.unit_name(root, owner))


def upgrade(root: FencedStore, owner: str) -> None:
    """Units and supervisor run the code at hand from now on: after an upgrade. No guest notices."""
    records_by_key = {}
    for key in root.keys(owner):
        if units.is_written(units.unit_name(root, owner, key)):
            try:
                records_by_key[key] = _read_record(root, owner, key)
            except errors.HostError:
                continue
    unit_files.write_instances(root, owner, records_by_key, start_at_boot=False)
    with root.fence.enter():
        units.systemctl_checked("restart", units.unit_name(root, owner))


def adopt(root: FencedStore, owner: str, keys: list[str]) -> None:
    """Give units to what runs, or waits to run again, without one that starts it at boot."""
    records_by_key = {}
    for key in keys:
        if not units.starts_at_boot(root, owner, key):
            try:
                records_by_key[key] = _read_record(root, owner, key)
            except errors.HostError:
                continue
    if records_by_key:
        unit_files.write_instances(root, owner, records_by_key)
        # Systemd may have been told of a file that was gone.
        units.systemctl_checked("daemon-reload")
