"""The supervisor daemon: one process per host and fleet that is the parent of its hypervisors.

It reaps and restarts them, bounds their console logs, and starts an ingress again that exited. It ends when it has
nothing left to supervise. It decides nothing that is not on disk: killed at any instant, the next one goes on from
there. Requests arrive over a unix socket, one line of JSON each way.
"""

from __future__ import annotations

import collections
import gc
import json
import os
import resource
import socket

from ..ingress import ingress_watcher
from ..platform import event_loop, own_code
from ..protocol import frames
from ..storage import layout, locks
from . import supervised_process, supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINGER = 1.0
"""Seconds without anything to keep before it ends."""
ASK_LIMIT = 4 << 20


class Keeper:
    """Guests by key, the ingress, the socket it is asked on, and a queue of starts (one a turn: consoles are heard)."""

    def __init__(self, root: layout.Root, owner: str, listener: socket.socket):
        self.root = root
        self.owner = owner
        self.loop = event_loop.Loop(self._failed)
        self.guests: dict[str, supervised_process.Guest] = {}
        self.queue: collections.deque[tuple[str, Batch]] = collections.deque()
        self.clients = 0
        self.idle = False
        self.ingress = ingress_watcher.Watch(self.loop, root, owner)
        self.successor: tuple[int, list[str]] | None = None
        self.listener = listener
        listener.setblocking(False)
        self.loop.watch(listener.fileno(), self._accept)

    def run(self) -> None:
        """Keep until there is nothing left to keep."""
        for key in self.root.keys(self.owner):
            self.loop.safely(self.kept(key).found)
        self.loop.safely(self.ingress.look)
        while True:
            self._start_one()
            self.idle = False
            self.loop.turn(0 if self.queue else (60.0 if self.busy() else LINGER))
            if self.successor is not None:
                return
            if not self.busy() and not self._heard():
                return

    def busy(self) -> bool:
        """Whether there is anything to keep, or to answer."""
        for key in [key for key, one in self.guests.items() if one.state == "idle"]:
            del self.guests[key]
        return bool(self.guests or self.queue or self.clients) or self.ingress.state != "absent"

    def _heard(self) -> bool:
        """Whether somebody knocked in the last turn; else one more short wait decides."""
        if not self.idle:
            self.idle = True
            self.loop.turn(LINGER)
        return self.busy()

    def kept(self, key: str) -> supervised_process.Guest:
        """Who looks after an instance, from now on."""
        if key not in self.guests:
            self.guests[key] = self.made(key)
        return self.guests[key]

    def made(self, key: str) -> supervised_process.Guest:
        """The one that looks after an instance."""
        return supervised_process.Guest(self.loop, self.root, self.owner, key)

    def _start_one(self) -> None:
        if not self.queue:
            return
        key, batch = self.queue.popleft()
        try:
            self.kept(key).start(lambda error: batch.done(key, layout.problem(error) if error else None))
        except frames.Problem as problem:
            batch.done(key, problem)
        except OSError as error:
            batch.done(key, layout.problem(error))
        except Exception as error:
            self._failed()
            text = f"the keeper failed to start {key}: {type(error).__name__}"
            batch.done(key, frames.Problem("failed", text, "this is a fault of unictl: please report it"))

    def _failed(self) -> None:
        """Keep the traceback of the last fault of our own, for whoever looks; the guests are kept on."""
        import traceback

        try:
            path = os.path.dirname(self.listener.getsockname()) + "/fault"
            layout.write_plain(path, traceback.format_exc().encode(), sync=False)
        except (OSError, frames.Problem):
            return

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self.clients += 1
        Client(self, connection)

    def answer(self, client: Client, ask: dict[str, Any]) -> None:
        """One request: start some, stop one, look at the ingress, become another, or just say who is here."""
        if ask.get("do") == "start":
            batch = Batch(client, len(ask["keys"]))
            self.queue.extend((key, batch) for key in ask["keys"])
        elif ask.get("do") == "stop":
            one = self.kept(ask["key"])
            one.stop(float(ask["grace"]) / 1000, lambda: client.reply({"ended": True}))
        elif ask.get("do") == "ingress":
            self.ingress.look()
            client.reply({"ingress": self.ingress.state})
        elif ask.get("do") == "become":
            client.reply({"becomes": self._become(str(ask["archive"]), [str(word) for word in ask["argv"]])})
        else:
            client.reply({"format": layout.FORMAT, "pid": os.getpid(), "guests": len(self.guests)})

    def _become(self, archive: str, argv: list[str]) -> bool:
        """Go on as what ``argv`` runs out of that archive, unless something is known here that is not on disk yet."""
        if self.queue or not all(one.settled for one in self.guests.values()):
            return False
        try:
            self.successor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC), argv
        except OSError:
            return False
        return True


class Batch:
    """Outcomes of the starts of one request."""

    def __init__(self, client: Client, size: int):
        self.client = client
        self.left = size
        self.outcomes: dict[str, Any] = {}
        if not size:
            client.reply({"outcomes": {}})

    def done(self, key: str, problem: frames.Problem | None) -> None:
        """One of them was tried; reply after the last."""
        self.outcomes[key] = {"ok": False, "problem": problem.document()} if problem else {"ok": True}
        self.left -= 1
        if not self.left:
            self.client.reply({"outcomes": self.outcomes})


class Client:
    """One connection of one request."""

    def __init__(self, keeper: Keeper, connection: socket.socket):
        self.keeper = keeper
        self.connection: socket.socket | None = connection
        self.heard = b""
        keeper.loop.watch(connection.fileno(), self._read)

    def reply(self, document: dict[str, Any]) -> None:
        """Answer and hang up; the one who asked may be gone."""
        if self.connection is not None:
            try:
                self.connection.settimeout(5)
                self.connection.sendall(frames.encode(document) + b"\n")
            except OSError:
                pass
            self._close()

    def _read(self) -> None:
        assert self.connection is not None
        try:
            data = self.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.heard += data
        if not data or len(self.heard) > ASK_LIMIT:
            self._close()
        elif self.heard.endswith(b"\n"):
            self._ask()

    def _ask(self) -> None:
        try:
            self.keeper.answer(self, json.loads(self.heard))
        except (ValueError, KeyError, TypeError, frames.Problem):
            self._close()
        self.heard = b""

    def _close(self) -> None:
        if self.connection is not None:
            self.keeper.loop.forget(self.connection.fileno())
            self.connection.close()
            self.connection = None
            self.keeper.clients -= 1


def main(folder: str, owner: str, path: str) -> None:
    """The keeper's whole life, in the process that was started for it (``supervise``)."""
    lock, listener = supervisor.LOCK, socket.socket(fileno=supervisor.LISTENER)
    for descriptor in (supervisor.LOCK, supervisor.LISTENER, supervisor.ARCHIVE):
        os.set_inheritable(descriptor, False)
    os.chdir("/")
    os.umask(0o022)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _no_new_privileges()
    _come_first()
    own_code.note(os.path.dirname(path))
    gc.freeze()
    kept = Keeper(layout.Root(folder), owner, listener)
    kept.run()
    if kept.successor is not None:
        _become(*kept.successor)
    # Whoever connects from here on is refused and starts the next keeper. Never another keeper's socket: the whole
    # store may have been removed and made anew under our feet.
    if locks.is_path(lock, os.path.dirname(path) + "/lock"):
        layout.remove_file(path)
    listener.close()


def _become(archive: int, argv: list[str]) -> None:
    """The same process with other code: lock and socket stay, and its children stay its own."""
    os.dup2(archive, supervisor.ARCHIVE)
    for descriptor in (supervisor.LOCK, supervisor.LISTENER):
        os.set_inheritable(descriptor, True)
    os.execve(argv[0], argv, {"PATH": "/usr/bin:/bin"})


def _come_first() -> None:
    """A little ahead of its own guests, where it may: of many that boot at once none should hinder the next start, and
    none of them should drown the others' consoles. Each child gives it up again."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -5)
        # Where the kernel weighs sessions and not processes, that is the number that counts.
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write("-5")
    except OSError:
        return


def _no_new_privileges() -> None:
    """Nothing started from here can gain what it lacks (set-uid programs); inherited by every hypervisor."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return
