"""Serves one conversation on the host: reads request frames, runs each handler in its own thread, writes reply
frames.

Handlers are imported on first use. The real stdin and stdout are moved away first, so that nothing in this process,
and
nothing that it starts, can break the framing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from .platform import own_code
from .protocol import frames
from .protocol.request_context import Call
from .storage import fleet_names, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

HANDLERS = {
    "survey": ("handlers.survey", "survey"),
    "lease": ("lease.fleet_lease", "acquire"),
    "release": ("lease.fleet_lease", "release"),
    "end-holder": ("lease.fleet_lease", "end_holder"),
    "stage": ("images.image_store", "stage"),
    "volume": ("handlers.volumes", "volume"),
    "launch": ("handlers.launch", "launch"),
    "mark": ("handlers.launch", "mark"),
    "await": ("health.health_gate", "await_"),
    "health": ("health.health_gate", "health"),
    "ingress": ("handlers.ingress", "ingress"),
    "ingress-text": ("handlers.ingress", "told"),
    "retire": ("handlers.retire", "retire"),
    "tail": ("handlers.logs", "tail"),
    "ledger": ("handlers.ledger", "ledger"),
    "remember": ("handlers.ledger", "remember"),
    "collect": ("handlers.garbage", "collect"),
    "inventory": ("handlers.inventory", "inventory"),
    "read": ("images.image_store", "read"),
}
CANCELLABLE = ("stage", "await", "health", "tail", "lease", "ingress")
"""Of the rest, a cancel is ignored: they end by themselves, soon."""
ALONE = ("ingress", "ledger", "remember", "collect", "lease", "volume")
"""One at a time of each of these."""
THREADS = 128
LAST_WORDS = 10.0
"""Seconds that messages in hand may take once the connection is gone; a retire also its grace."""


class Connection:
    """One conversation: its streams, its lease, the requests in hand."""

    def __init__(self, root: layout.Root, reading: int, writing: int):
        self.root = root
        self.reading = reading
        self.writing = writing
        self.lease: Any = None
        self.calls: dict[int, Call] = {}
        self.problem: frames.Problem | None = None
        self.gone = threading.Event()
        self._write = threading.Lock()
        self._alone = {name: threading.Lock() for name in ALONE}
        self._keys: dict[str, threading.Lock] = {}
        self._keys_guard = threading.Lock()
        self._free = threading.BoundedSemaphore(THREADS)
        self._parts: dict[int, list[bytes]] = {}
        self._coming = 0

    def send(self, data: bytes) -> None:
        """Write frames; to nobody where the control side is gone."""
        with self._write:
            if not self.gone.is_set():
                try:
                    frames.write_all(self.writing, data)
                except OSError:
                    self.gone.set()

    def run(self) -> None:
        """Until the control side is gone or silent."""
        self.send(frames.frame(0, frames.EVENT, frames.encode(self._hello())))
        while not self.gone.is_set():
            try:
                stream, kind, body = frames.read_frame(self.reading, frames.SILENCE)
            except (frames.Ended, OSError):
                break
            self._heard(stream, kind, body)
            self._beat()
        self._end()

    def _hello(self) -> dict[str, Any]:
        row = {
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "pid": os.getpid(),
            "uid": os.geteuid(),
            "root": self.root.path,
            "boot_id": layout.boot_id(),
            "clock": time.time(),
            "format": layout.FORMAT,
        }
        try:
            self.root.prepare()
            row["id"] = self.root.host_id()
        except frames.Problem as problem:
            self.problem = problem
        except OSError as error:
            self.problem = layout.problem(error, self.root.path)
        if self.problem is not None:
            row["problem"] = self.problem.document()
        return row

    def _heard(self, stream: int, kind: int, body: bytes) -> None:
        if kind == frames.PING:
            self.send(frames.frame(0, frames.PING))
        elif kind == frames.PART:
            self._part(stream, body)
        elif kind == frames.REQUEST:
            self._begin(stream, self._whole(stream, body))
        elif stream in self.calls:
            call = self.calls[stream]
            if kind in (frames.DATA, frames.DEFLATED):
                call.data.put((kind, body))
            elif kind == frames.CANCEL and call.ask.get("do") in CANCELLABLE:
                call.cancel()

    def _part(self, stream: int, body: bytes) -> None:
        """Keep a piece of a long request, and say that it came: the line may be busy with it for long. A control side
        that sends more than it may is none of ours."""
        self._parts.setdefault(stream, []).append(body)
        self._coming += len(body)
        if self._coming > frames.MESSAGE_LIMIT:
            self.gone.set()
        self.send(frames.frame(0, frames.PING))

    def _whole(self, stream: int, body: bytes) -> bytes:
        parts = self._parts.pop(stream, [])
        self._coming -= sum(map(len, parts))
        return b"".join([*parts, body])

    def _begin(self, stream: int, body: bytes) -> None:
        import json

        call = Call(self, stream, json.loads(body))
        self.calls[stream] = call
        threading.Thread(target=self._answer, args=(call,), daemon=True).start()

    def _answer(self, call: Call) -> None:
        with self._free:
            body = self._outcome(call)
        self.calls.pop(call.stream, None)
        self.send(b"".join(frames.frames(call.stream, frames.REPLY, body)))

    def _outcome(self, call: Call) -> bytes:
        """The reply, or the problem: never a traceback, never the request (it may hold secrets)."""
        try:
            if self.problem is not None:
                raise self.problem
            return frames.encode({"ok": self._handle(call)})
        except frames.Problem as problem:
            told = problem
        except OSError as error:
            told = layout.problem(error)
        except Exception as error:
            text = f"the host side failed in {call.ask.get('do')!r}: {type(error).__name__} at {_where(error)}"
            told = frames.Problem("failed", text, "this is a fault of unictl: please report it")
        return frames.encode({"problem": told.document()})

    def _handle(self, call: Call) -> Any:
        name = str(call.ask.get("do"))
        if name not in HANDLERS:
            raise frames.Problem("unsupported", f"unknown request {name!r}")
        handler = load(*HANDLERS[name])
        ask = fleet_names.resolved(self.root, call.ask)
        held = self._locks(name, call.ask)
        for lock in held:
            lock.acquire()
        try:
            return handler(self.root, ask, call)
        finally:
            for lock in held:
                lock.release()

    def _locks(self, name: str, ask: dict[str, Any]) -> list[threading.Lock]:
        """What this request may not share: its kind, or the instances it changes. Sorted: no two wait in a circle."""
        if name in ALONE:
            return [self._alone[name]]
        keys = []
        if name == "launch":
            keys = [f"{one['name']}.{one['generation']}" for one in ask["instances"]]
        elif name in ("retire", "mark"):
            keys = [ask["key"]]
        elif name == "stage":
            keys = [ask["digest"]]
        with self._keys_guard:
            return [self._keys.setdefault(key, threading.Lock()) for key in sorted(set(keys))]

    def _end(self) -> None:
        """No new frames; what is in hand ends by its own rule; then the lease is free, with the process."""
        self.gone.set()
        calls = list(self.calls.values())
        graces = [float(call.ask.get("grace", 10_000)) / 1000 for call in calls if call.ask.get("do") == "retire"]
        for call in calls:
            if call.ask.get("do") in CANCELLABLE:
                call.cancel()
        deadline = time.monotonic() + LAST_WORDS + max(graces, default=0.0)
        while self.calls and time.monotonic() < deadline:
            self._beat()
            time.sleep(0.01)

    def _beat(self) -> None:
        """Whoever wants the lease sees that its holder lives."""
        lease = self.lease
        if lease is not None:
            lease.beat()


def load(module: str, function: str) -> Callable[[layout.Root, dict[str, Any], Call], Any]:
    """A handler, its module imported now and not before."""
    imported = __import__(f"{own_code.PACKAGE}.{module}", fromlist=[function])
    found: Callable[[layout.Root, dict[str, Any], Call], Any] = getattr(imported, function)
    return found


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def take_streams() -> tuple[int, int]:
    """Private descriptors of the conversation; 0 becomes /dev/null, 1 becomes stderr."""
    reading, writing = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return reading, writing


def main(path: str) -> None:
    """Serve one conversation over the process's own standard streams."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o022)
    reading, writing = take_streams()
    try:
        root = layout.Root(path or layout.default_path())
    except frames.Problem as problem:
        os.write(2, f"unictl: {problem.text}; {problem.hint}\n".encode())
        os._exit(72)
    try:
        Connection(root, reading, writing).run()
    finally:
        # Threads that hang must not keep the lease: the process ends here, whatever they do.
        os._exit(0)
