"""Supervision by systemd: every instance, the ingress and the fleet's daemon are units, which start at boot."""

from __future__ import annotations

import os
import signal
import time

from ..ingress import haproxy
from ..instances.instance_state import supervisor_alive, supervisor_dir
from ..platform import own_code, processes
from ..storage import guarded_read, identifiers, locks
from ..systemd import unit_files, units
from . import daemon_client, resumption, systemd_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..ingress.haproxy import IngressPaths
    from ..storage.fenced_store import FencedStore


class SystemdSupervisor:
    """A ``Supervisor`` (see ``supervisor``) that writes units and has systemd start them."""

    def __init__(self, root: FencedStore, owner: str):
        self.root = root
        self.owner = owner
        self._daemon = daemon_client.DaemonClient(root, owner, systemd_start.start_daemon)

    def start_daemon(self) -> None:
        """Have a daemon there soon."""
        self._daemon.wake()

    def resume(self) -> None:
        """Give a unit to what runs without one, start a daemon where there is none, and have all of it run this
        code."""
        root, owner = self.root, self.owner
        resumable_keys, has_ingress = resumption.keys_to_resume(root, owner), resumption.has_ingress(root, owner)
        if not resumable_keys and not has_ingress:
            return
        self._end_detached_daemon()
        systemd_start.adopt(root, owner, resumable_keys)
        if has_ingress and not units.is_written(units.unit_name(root, owner, "ingress")):
            unit_files.write_ingress(root, owner, root.run(identifiers.run_dir_name(owner, "ingress")))
        if not supervisor_alive(root, owner):
            self._daemon.connect_or_start().close()
        elif not own_code.is_current(supervisor_dir(root, owner)):
            systemd_start.upgrade(root, owner)

    def _end_detached_daemon(self) -> None:
        """End the daemon from before systemd supervised here: its guests run on, and the unit's daemon takes them
        over."""
        lock = supervisor_dir(self.root, self.owner) + "/lock"
        pid = int(guarded_read.read_bytes(lock) or 0) if locks.is_locked(lock) else 0
        is_daemon = pid and processes.has_open(str(pid), os.stat(lock))
        if not is_daemon or units.owns_process(units.unit_name(self.root, self.owner), pid):
            return
        with self.root.fence.enter():
            processes.send_signal(pid, processes.start_ticks(pid), signal.SIGKILL)
        deadline = time.monotonic() + daemon_client.ANSWER_TIMEOUT
        while locks.is_locked(lock):
            if time.monotonic() > deadline:
                raise daemon_client.unresponsive_error(self.root, self.owner)
            time.sleep(0.005)

    def start(self, keys: list[str]) -> dict[str, Any]:
        """Have systemd start these; key -> {ok, problem?}."""
        self._end_detached_daemon()
        return systemd_start.start(self.root, self.owner, keys)

    def stop(self, key: str, grace: int) -> None:
        """Have it stopped, and any restart forgotten; returns when it is gone, and its unit with it."""
        unit = units.unit_name(self.root, self.owner, key)
        unit_files.disable(self.root, unit)
        self._daemon.stop_process(key, grace)
        unit_files.remove(self.root, unit)

    def watch_ingress(self) -> None:
        """Have the ingress looked after as it is now."""
        self._daemon.watch_ingress()

    def start_ingress(self, paths: IngressPaths, old_pids: list[int], handover: bool) -> None:  # noqa: ARG002 - a supervisor
        """Start or reload HAProxy by its unit, whose start program finds the current one itself."""
        haproxy.start_unit(self.root, paths)

    def disable_ingress(self, paths: IngressPaths) -> None:
        """Have the ingress not started at boot any more."""
        unit_files.disable(self.root, paths.unit)

    def forget_ingress(self, paths: IngressPaths) -> None:
        """Remove its unit."""
        unit_files.remove(self.root, paths.unit)

    def forget_daemon(self) -> None:
        """Remove its unit."""
        unit_files.remove(self.root, units.unit_name(self.root, self.owner))

    def collect_garbage(self) -> None:
        """Have systemd forget units that were removed, and remove code that none names."""
        unit_files.reload_and_collect(self.root)
