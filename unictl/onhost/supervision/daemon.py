"""The supervisor daemon: one process per host and fleet that looks after its hypervisors.

It restarts them, bounds their console logs, and starts an ingress again that exited; what it is made of, children of
its own or systemd units, is its backend. It ends when it has nothing left to supervise. It decides nothing that is
not on disk: killed at any instant, the next one goes on from there. Requests arrive over a unix socket, one line of
JSON each way.
"""

from __future__ import annotations

import collections
import gc
import json
import os
import resource
import socket

from .. import errors
from ..ingress import ingress_watcher
from ..platform import event_loop, own_code
from ..protocol import frames
from ..storage import atomic, layout, locks
from . import backends, daemon_client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ..ingress.haproxy import IngressPaths
    from ..ingress.haproxy_start import HaproxyStart
    from .supervised_process import SupervisedProcess

    class Backend(Protocol):
        """What differs between a daemon that forks and one under systemd."""

        def create_process(self, loop: event_loop.EventLoop, key: str) -> SupervisedProcess:
            """What looks after an instance."""

        def start_ingress(self, paths: IngressPaths, lock: int) -> HaproxyStart:
            """Have the next HAProxy started; takes over the lock."""

        def starts_at_boot(self) -> bool:
            """Whether something may start with the host, which needs the daemon then."""


LINGER = 1.0
"""Seconds without anything to keep before it ends."""
REQUEST_LIMIT = 4 << 20


class SupervisorDaemon:
    """Guests by key, the ingress, the socket it is asked on, and a queue of starts (one a turn: consoles are heard)."""

    def __init__(self, root: layout.StoreLayout, owner: str, listener: socket.socket, backend: Backend):
        self.root = root
        self.owner = owner
        self.backend = backend
        self.loop = event_loop.EventLoop(self._log_failure)
        self.instances: dict[str, SupervisedProcess] = {}
        self.start_queue: collections.deque[tuple[str, StartBatch]] = collections.deque()
        self.client_count = 0
        self.was_idle = False
        self.ingress = ingress_watcher.IngressWatcher(self.loop, root, owner, backend.start_ingress)
        self.successor: tuple[int, list[str]] | None = None
        self.listener = listener
        listener.setblocking(False)
        self.loop.watch(listener.fileno(), self._accept)

    def run(self) -> None:
        """Keep until there is nothing left to keep."""
        for key in self.root.keys(self.owner):
            self.loop.call_safely(self.instance(key).recover)
        self.loop.call_safely(self.ingress.check)
        while True:
            self._start_next()
            self.was_idle = False
            self.loop.run_once(0 if self.start_queue else (60.0 if self.is_busy() else LINGER))
            if self.successor is not None:
                return
            if not self.is_busy() and not self._has_new_work():
                return

    def is_busy(self) -> bool:
        """Whether there is anything to keep or to answer, or may be at the next boot."""
        for key in [key for key, instance in self.instances.items() if instance.state == "idle"]:
            del self.instances[key]
        has_work = bool(self.instances or self.start_queue or self.client_count) or self.ingress.state != "absent"
        return has_work or self.backend.starts_at_boot()

    def _has_new_work(self) -> bool:
        """Whether somebody knocked in the last turn; else one more short wait decides."""
        if not self.was_idle:
            self.was_idle = True
            self.loop.run_once(LINGER)
        return self.is_busy()

    def instance(self, key: str) -> SupervisedProcess:
        """What looks after an instance, from now on."""
        if key not in self.instances:
            self.instances[key] = self.backend.create_process(self.loop, key)
        return self.instances[key]

    def _start_next(self) -> None:
        if not self.start_queue:
            return
        key, batch = self.start_queue.popleft()
        try:
            self.instance(key).start(lambda error: batch.finish(key, atomic.from_os_error(error) if error else None))
        except errors.HostError as problem:
            batch.finish(key, problem)
        except OSError as error:
            batch.finish(key, atomic.from_os_error(error))
        except Exception as error:
            self._log_failure()
            text = f"the supervisor failed to start {key}: {type(error).__name__}"
            batch.finish(key, errors.HostError("failed", text, "this is a fault of unictl: please report it"))

    def _log_failure(self) -> None:
        """Keep the traceback of the last fault of our own, for whoever looks; the guests are kept on."""
        import traceback

        try:
            path = os.path.dirname(self.listener.getsockname()) + "/last-fault"
            atomic.write_in_place(path, traceback.format_exc().encode(), sync=False)
        except (OSError, errors.HostError):
            return

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self.client_count += 1
        ClientConnection(self, connection)

    def answer(self, client: ClientConnection, request: dict[str, Any]) -> None:
        """One request: start some, stop one, listen to one that begins, look at the ingress, become another, or just
        say who is here."""
        if request.get("do") == "start":
            batch = StartBatch(client, len(request["keys"]))
            self.start_queue.extend((key, batch) for key in request["keys"])
        elif request.get("do") == "stop":
            instance = self.instance(request["key"])
            instance.stop(float(request["grace"]) / 1000, lambda: client.reply({"ended": True}))
        elif request.get("do") == "adopt":
            self.instance(layout.safe_component(request["key"])).adopt()
            client.reply({})
        elif request.get("do") == "ingress":
            self.ingress.check()
            client.reply({"ingress": self.ingress.state})
        elif request.get("do") == "become":
            client.reply(
                {"becomes": self._prepare_successor(str(request["archive"]), [str(word) for word in request["argv"]])}
            )
        else:
            client.reply({"format": layout.FORMAT, "pid": os.getpid(), "guests": len(self.instances)})

    def _prepare_successor(self, archive: str, argv: list[str]) -> bool:
        """Go on as what ``argv`` runs out of that archive, unless something is known here that is not on disk yet."""
        if self.start_queue or not all(instance.is_stable for instance in self.instances.values()):
            return False
        try:
            self.successor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC), argv
        except OSError:
            return False
        return True


class StartBatch:
    """Outcomes of the starts of one request."""

    def __init__(self, client: ClientConnection, size: int):
        self.client = client
        self.pending_count = size
        self.outcomes: dict[str, Any] = {}
        if not size:
            client.reply({"outcomes": {}})

    def finish(self, key: str, problem: errors.HostError | None) -> None:
        """One of them was tried; reply after the last."""
        self.outcomes[key] = {"ok": False, "problem": problem.to_document()} if problem else {"ok": True}
        self.pending_count -= 1
        if not self.pending_count:
            self.client.reply({"outcomes": self.outcomes})


class ClientConnection:
    """One connection of one request."""

    def __init__(self, daemon: SupervisorDaemon, connection: socket.socket):
        self.daemon = daemon
        self.connection: socket.socket | None = connection
        self.buffer = b""
        daemon.loop.watch(connection.fileno(), self._read)

    def reply(self, document: dict[str, Any]) -> None:
        """Answer and hang up; the one who asked may be gone."""
        if self.connection is not None:
            try:
                self.connection.settimeout(5)
                self.connection.sendall(frames.encode_json(document) + b"\n")
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
        self.buffer += data
        if not data or len(self.buffer) > REQUEST_LIMIT:
            self._close()
        elif self.buffer.endswith(b"\n"):
            self._dispatch()

    def _dispatch(self) -> None:
        try:
            self.daemon.answer(self, json.loads(self.buffer))
        except (ValueError, KeyError, TypeError, errors.HostError):
            self._close()
        self.buffer = b""

    def _close(self) -> None:
        if self.connection is not None:
            self.daemon.loop.unwatch(self.connection.fileno())
            self.connection.close()
            self.connection = None
            self.daemon.client_count -= 1


def main(store_path: str, owner: str, path: str) -> None:
    """The supervisor's whole life, in the process that was started for it (``supervisor``)."""
    lock, listener = daemon_client.LOCK_FD, socket.socket(fileno=daemon_client.LISTENER_FD)
    for descriptor in (daemon_client.LOCK_FD, daemon_client.LISTENER_FD, daemon_client.ARCHIVE_FD):
        os.set_inheritable(descriptor, False)
    os.chdir("/")
    os.umask(0o022)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    _no_new_privileges()
    _raise_priority()
    own_code.write_digest(os.path.dirname(path))
    gc.freeze()
    root = layout.StoreLayout(store_path)
    supervisor_daemon = SupervisorDaemon(root, owner, listener, backends.DetachedBackend(root, owner))
    supervisor_daemon.run()
    if supervisor_daemon.successor is not None:
        _exec_successor(*supervisor_daemon.successor)
    # Whoever connects from here on is refused and starts the next supervisor. Never another supervisor's socket: the
    # whole store may have been removed and made anew under our feet.
    if locks.is_same_file(lock, os.path.dirname(path) + "/lock"):
        atomic.remove_file(path)
    listener.close()


def _exec_successor(archive: int, argv: list[str]) -> None:
    """The same process with other code: lock and socket stay, and its children stay its own."""
    os.dup2(archive, daemon_client.ARCHIVE_FD)
    for descriptor in (daemon_client.LOCK_FD, daemon_client.LISTENER_FD):
        os.set_inheritable(descriptor, True)
    os.execve(argv[0], argv, {"PATH": "/usr/bin:/bin"})


def _raise_priority() -> None:
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
