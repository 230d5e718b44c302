"""The keeper where systemd supervises: it listens, judges and asks for restarts, and is itself a unit.

It is there before the first of its instances and ends with the last; killed, systemd starts it again, and it goes on
from what stands on disk.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import time

from . import (
    accelerator,
    door,
    facts,
    guest,
    haproxy_process,
    haproxy_start,
    ingress_watch,
    keeper,
    lives,
    locks,
    reading,
    records,
    shipped,
    substitute,
    unit_files,
    units,
    ward,
    wire,
)
from .notify import ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .haproxy_process import Place

BEFORE = 10.0
"""Seconds that the keeper before may take to end."""


class Start(haproxy_start.Start):
    """A start of the ingress's unit: systemd's answer is awaited by a child, as HAProxy's own start would be."""

    def __init__(self, place: Place, lock: int):
        self._place, self._lock = place, lock
        records.remove_file(place.said)
        argv = [units.program(), "reload-or-restart", place.unit]
        quiet = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1, 2)]
        self._pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"}, file_actions=quiet)
        self.pidfd = os.pidfd_open(self._pid)

    def outcome(self) -> str:
        """Why it did not start; empty where it did."""
        status = os.waitpid(self._pid, 0)[1]
        for descriptor in (self.pidfd, self._lock):
            os.close(descriptor)
        return haproxy_process.words(reading.read_bytes(self._place.said) or b"") if status else ""


class Watch(ingress_watch.Watch):
    """The ingress, started by its unit."""

    def begin(self, lock: int) -> haproxy_start.Start:
        """Have systemd start it."""
        return Start(self.place, lock)


class UnitKeeper(keeper.Keeper):
    """Keeps as long as one of its instances starts at boot: each that has not ended for good does."""

    def __init__(self, root: records.Root, owner: str, listener: socket.socket):
        super().__init__(root, owner, listener)
        self.ingress = Watch(self.loop, root, owner)

    def made(self, key: str) -> guest.Guest:
        """A ward: systemd is its parent."""
        return ward.Ward(self.loop, self.root, self.owner, key)

    def busy(self) -> bool:
        """Whether there is anything to keep, or may be at the next boot."""
        return super().busy() or any(map(self._may_start, self.root.keys(self.owner)))

    def _may_start(self, key: str) -> bool:
        unit = units.name(self.root, self.owner, key)
        if not units.enabled(unit):
            return False
        if not facts.comes_back(reading.noted(None, facts.last, self.root.instance(self.owner, key)) or {}):
            unit_files.disable(door.free(self.root), unit)
        return units.enabled(unit)

    def answer(self, client: keeper.Client, ask: dict[str, Any]) -> None:
        """One more request: listen to one that is about to begin."""
        if ask.get("do") == "adopt":
            self.kept(records.part(ask["key"])).adopt()
            client.reply({})
        else:
            super().answer(client, ask)


def main(folder: str, owner: str) -> None:
    """The keeper's whole life, in the process of its unit."""
    os.umask(0o022)
    os.chdir("/")
    root = records.Root(folder)
    place = lives.keeper_folder(root, owner)
    records.folders(root.runs)
    records.folders(place, 0o700)
    lock = _take(place + "/lock")
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = _listen(place + "/socket")
    shipped.note(place)
    kept = UnitKeeper(root, owner, listener)
    _choose(root)
    _make_ready(root, owner)
    gc.freeze()
    ready()
    kept.run()
    if locks.is_path(lock, place + "/lock"):
        records.remove_file(place + "/socket")
    listener.close()


def _make_ready(root: records.Root, owner: str) -> None:
    """The run folders that units write to: swept away, some of them, with what a boot sweeps."""
    for key in records.names(root.instances(owner)):
        if units.enabled(units.name(root, owner, key)) and not os.path.exists(root.instance(owner, key) + "/intent"):
            records.folders(root.run(records.token(owner, key)), 0o700)


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
    records.remove_file(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(256)
    return listener


def _choose(root: records.Root) -> None:
    """Find this boot's accelerator before the first start asks: a start may not write where it is remembered."""
    try:
        accelerator.choose(root, substitute.which(*substitute.QEMU))
    except (OSError, wire.Problem) as error:
        os.write(2, f"no accelerator was found: {error}\n".encode())
