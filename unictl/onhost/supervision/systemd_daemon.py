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
from ..instances import instance_state
from ..platform import own_code
from ..storage import atomic, guarded_read, identifiers, layout, locks
from ..systemd import units
from ..systemd.notify import send_ready
from . import backends, daemon

PREDECESSOR_TIMEOUT = 10.0
"""Seconds that the supervisor before may take to end."""


def main(store_path: str, owner: str) -> None:
    """The supervisor's whole life, in the process of its unit."""
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
    supervisor_daemon = daemon.SupervisorDaemon(root, owner, listener, backends.SystemdBackend(root, owner))
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
    """The supervisor's lock: there are never two."""
    deadline = time.monotonic() + PREDECESSOR_TIMEOUT
    while True:
        lock = locks.take(path)
        if lock is not None:
            return lock
        if time.monotonic() > deadline:
            raise SystemExit("another supervisor of this fleet does not end")
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
