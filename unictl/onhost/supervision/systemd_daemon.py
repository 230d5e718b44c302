"""The supervisor daemon under systemd: it reads consoles, judges exits and asks for restarts, and is itself a unit.

It starts before the first of its instances and ends with the last. If it is killed, systemd starts it again, and it
goes on from what is on disk.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import time

from .. import errors
from ..hypervisors import drivers
from ..ingress import haproxy, haproxy_start, ingress_watcher
from ..instances import instance_state, run_log
from ..platform import own_code
from ..storage import atomic, fenced_store, guarded_read, identifiers, layout, locks
from ..systemd import unit_files, units
from ..systemd.notify import send_ready
from . import daemon, supervised_process, systemd_instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..ingress.haproxy import IngressPaths

PREDECESSOR_TIMEOUT = 10.0
"""Seconds that the keeper before may take to end."""


class UnitStart(haproxy_start.HaproxyStart):
    """A start of the ingress's unit: systemd's answer is awaited by a child, as HAProxy's own start would be."""

    def __init__(self, paths: IngressPaths, lock: int):
        self._paths, self._lock = paths, lock
        atomic.remove_file(paths.stderr)
        argv = [units.systemctl_path(), "reload-or-restart", paths.unit]
        file_actions = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1, 2)]
        self._pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"}, file_actions=file_actions)
        self.pidfd = os.pidfd_open(self._pid)

    def failure(self) -> str:
        """Why it did not start; empty where it did."""
        status = os.waitpid(self._pid, 0)[1]
        for descriptor in (self.pidfd, self._lock):
            os.close(descriptor)
        return haproxy.complaints(guarded_read.read_bytes(self._paths.stderr) or b"") if status else ""


class SystemdIngressWatcher(ingress_watcher.IngressWatcher):
    """The ingress, started by its unit."""

    def create_start(self, lock: int) -> haproxy_start.HaproxyStart:
        """Have systemd start it."""
        return UnitStart(self.paths, lock)


class SystemdDaemon(daemon.SupervisorDaemon):
    """Keeps as long as one of its instances starts at boot: each that has not ended for good does."""

    def __init__(self, root: layout.StoreLayout, owner: str, listener: socket.socket):
        super().__init__(root, owner, listener)
        self.ingress = SystemdIngressWatcher(self.loop, root, owner)

    def create(self, key: str) -> supervised_process.SupervisedProcess:
        """A ward: systemd is its parent."""
        return systemd_instance.SystemdInstance(self.loop, self.root, self.owner, key)

    def is_busy(self) -> bool:
        """Whether there is anything to keep, or may be at the next boot."""
        return super().is_busy() or any(map(self._may_start_at_boot, self.root.keys(self.owner)))

    def _may_start_at_boot(self, key: str) -> bool:
        unit = units.unit_name(self.root, self.owner, key)
        if not units.is_enabled(unit):
            return False
        if not run_log.restarts_at_boot(
            guarded_read.read_or_note(None, run_log.last_entry, self.root.instance(self.owner, key)) or {}
        ):
            unit_files.disable(fenced_store.unfenced(self.root), unit)
        return units.is_enabled(unit)

    def answer(self, client: daemon.DaemonClient, request: dict[str, Any]) -> None:
        """One more request: listen to one that is about to begin."""
        if request.get("do") == "adopt":
            self.instance(layout.safe_component(request["key"])).adopt()
            client.reply({})
        else:
            super().answer(client, request)


def main(store_path: str, owner: str) -> None:
    """The keeper's whole life, in the process of its unit."""
    os.umask(0o022)
    os.chdir("/")
    root = layout.StoreLayout(store_path)
    run_directory = instance_state.supervisor_dir(root, owner)
    atomic.make_dirs(root.runs)
    atomic.make_dirs(run_directory, 0o700)
    lock = _take_lock(run_directory + "/lock")
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    listener = _listen(run_directory + "/socket")
    own_code.write_digest(run_directory)
    supervisor_daemon = SystemdDaemon(root, owner, listener)
    _choose_accelerator(root)
    _prepare_run_dirs(root, owner)
    gc.freeze()
    send_ready()
    supervisor_daemon.run()
    if locks.is_same_file(lock, run_directory + "/lock"):
        atomic.remove_file(run_directory + "/socket")
    listener.close()


def _prepare_run_dirs(root: layout.StoreLayout, owner: str) -> None:
    """The run folders that units write to: swept away, some of them, with what a boot sweeps."""
    for key in guarded_read.list_names(root.instances(owner)):
        if units.is_enabled(units.unit_name(root, owner, key)) and not os.path.exists(
            root.instance(owner, key) + "/intent"
        ):
            atomic.make_dirs(root.run(identifiers.run_dir_name(owner, key)), 0o700)


def _take_lock(path: str) -> int:
    """The keeper's lock: there are never two."""
    deadline = time.monotonic() + PREDECESSOR_TIMEOUT
    while True:
        lock = locks.take(path)
        if lock is not None:
            return lock
        if time.monotonic() > deadline:
            raise SystemExit("another keeper of this fleet does not end")
        time.sleep(0.02)


def _listen(path: str) -> socket.socket:
    atomic.remove_file(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(256)
    return listener


def _choose_accelerator(root: layout.StoreLayout) -> None:
    """Find this boot's accelerator before the first start asks: a start may not write where it is remembered."""
    for driver in drivers.load_all().values():
        try:
            driver.choose_accelerator(root, driver.find_program())
        except (OSError, errors.HostError) as error:
            os.write(2, f"no accelerator was found: {error}\n".encode())
