"""The supervisor daemon under systemd: it reads consoles, judges exits and asks for restarts, and is itself a
unit.

It starts before the first of its instances and ends with the last. If it is killed, systemd starts it again, and it
goes
on from what is on disk.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import time

from ..hypervisors.qemu import accelerator
from ..ingress import haproxy, haproxy_start, ingress_watcher
from ..instances import instance_state, run_log
from ..platform import own_code, programs
from ..protocol import frames
from ..storage import fenced_store, guarded_read, layout, locks
from ..systemd import unit_files, units
from ..systemd.notify import ready
from . import daemon, supervised_process, systemd_instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..ingress.haproxy import Place

BEFORE = 10.0
"""Seconds that the keeper before may take to end."""


class Start(haproxy_start.Start):
    """A start of the ingress's unit: systemd's answer is awaited by a child, as HAProxy's own start would be."""

    def __init__(self, place: Place, lock: int):
        self._place, self._lock = place, lock
        layout.remove_file(place.said)
        argv = [units.program(), "reload-or-restart", place.unit]
        quiet = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1, 2)]
        self._pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"}, file_actions=quiet)
        self.pidfd = os.pidfd_open(self._pid)

    def outcome(self) -> str:
        """Why it did not start; empty where it did."""
        status = os.waitpid(self._pid, 0)[1]
        for descriptor in (self.pidfd, self._lock):
            os.close(descriptor)
        return haproxy.words(guarded_read.read_bytes(self._place.said) or b"") if status else ""


class Watch(ingress_watcher.Watch):
    """The ingress, started by its unit."""

    def begin(self, lock: int) -> haproxy_start.Start:
        """Have systemd start it."""
        return Start(self.place, lock)


class UnitKeeper(daemon.Keeper):
    """Keeps as long as one of its instances starts at boot: each that has not ended for good does."""

    def __init__(self, root: layout.Root, owner: str, listener: socket.socket):
        super().__init__(root, owner, listener)
        self.ingress = Watch(self.loop, root, owner)

    def made(self, key: str) -> supervised_process.Guest:
        """A ward: systemd is its parent."""
        return systemd_instance.Ward(self.loop, self.root, self.owner, key)

    def busy(self) -> bool:
        """Whether there is anything to keep, or may be at the next boot."""
        return super().busy() or any(map(self._may_start, self.root.keys(self.owner)))

    def _may_start(self, key: str) -> bool:
        unit = units.name(self.root, self.owner, key)
        if not units.enabled(unit):
            return False
        if not run_log.comes_back(guarded_read.noted(None, run_log.last, self.root.instance(self.owner, key)) or {}):
            unit_files.disable(fenced_store.free(self.root), unit)
        return units.enabled(unit)

    def answer(self, client: daemon.Client, ask: dict[str, Any]) -> None:
        """One more request: listen to one that is about to begin."""
        if ask.get("do") == "adopt":
            self.kept(layout.part(ask["key"])).adopt()
            client.reply({})
        else:
            super().answer(client, ask)


def main(folder: str, owner: str) -> None:
    """The keeper's whole life, in the process of its unit."""
    os.umask(0o022)
    os.chdir("/")
    root = layout.Root(folder)
    place = instance_state.keeper_folder(root, owner)
    layout.folders(root.runs)
    layout.folders(place, 0o700)
    lock = _take(place + "/lock")
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = _listen(place + "/socket")
    own_code.note(place)
    kept = UnitKeeper(root, owner, listener)
    _choose(root)
    _make_ready(root, owner)
    gc.freeze()
    ready()
    kept.run()
    if locks.is_path(lock, place + "/lock"):
        layout.remove_file(place + "/socket")
    listener.close()


def _make_ready(root: layout.Root, owner: str) -> None:
    """The run folders that units write to: swept away, some of them, with what a boot sweeps."""
    for key in layout.names(root.instances(owner)):
        if units.enabled(units.name(root, owner, key)) and not os.path.exists(root.instance(owner, key) + "/intent"):
            layout.folders(root.run(layout.token(owner, key)), 0o700)


def _take(path: str) -> int:
    """The keeper's lock: there are never two."""
    deadline = time.monotonic() + BEFORE
    while True:
        lock = locks.take(path)
        if lock is not None:
            return lock
        if time.monotonic() > deadline:
            raise SystemExit("another keeper of this fleet does not end")
        time.sleep(0.02)


def _listen(path: str) -> socket.socket:
    layout.remove_file(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(256)
    return listener


def _choose(root: layout.Root) -> None:
    """Find this boot's accelerator before the first start asks: a start may not write where it is remembered."""
    try:
        accelerator.choose(root, programs.which(*programs.QEMU))
    except (OSError, frames.Problem) as error:
        os.write(2, f"no accelerator was found: {error}\n".encode())
