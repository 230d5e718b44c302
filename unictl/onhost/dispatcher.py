"""Serves one conversation on the host: reads request frames, runs each handler in its own thread, writes reply
frames.

Handlers are imported on first use. The real stdin and stdout are moved away first, so that nothing in this process,
and nothing that it starts, can break the framing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from . import errors
from .protocol import frames
from .protocol.messages import MESSAGES, Message
from .protocol.request_context import RequestContext
from .storage import atomic, fleet_names, identifiers, layout

_PACKAGE = __name__.rpartition(".")[0]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .lease.fleet_lease import Lease

    Handler = Callable[[layout.StoreLayout, dict[str, Any], RequestContext], dict[str, Any]]

MAX_THREADS = 128
DRAIN_SECONDS = 10.0
"""Seconds that messages in hand may take once the connection is gone; a retire also its grace."""


class Dispatcher:
    """One conversation: its streams, its lease, the requests in hand."""

    def __init__(self, root: layout.StoreLayout, input_fd: int, output_fd: int):
        self.root = root
        self.input_fd = input_fd
        self.output_fd = output_fd
        self.lease: Lease | None = None
        self.requests: dict[int, RequestContext] = {}
        self.store_error: errors.HostError | None = None
        self.closed = threading.Event()
        self._write_lock = threading.Lock()
        self._key_locks: dict[str, threading.Lock] = {}
        self._key_locks_guard = threading.Lock()
        self._slots = threading.BoundedSemaphore(MAX_THREADS)
        self._partial_requests: dict[int, list[bytes]] = {}
        self._partial_bytes = 0

    def send(self, data: bytes) -> None:
        """Write frames; to nobody where the control side is gone."""
        with self._write_lock:
            if not self.closed.is_set():
                try:
                    frames.write_all(self.output_fd, data)
                except OSError:
                    self.closed.set()

    def run(self) -> None:
        """Until the control side is gone or silent."""
        self.send(frames.pack_frame(0, frames.EVENT, frames.encode_json(self._greeting())))
        while not self.closed.is_set():
            try:
                stream, kind, body = frames.read_frame(self.input_fd, frames.SILENCE_LIMIT)
            except (errors.ConnectionClosed, OSError):
                break
            self._handle_frame(stream, kind, body)
            self._beat_lease()
        self._shut_down()

    def _greeting(self) -> dict[str, Any]:
        greeting = {
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "pid": os.getpid(),
            "uid": os.geteuid(),
            "root": self.root.path,
            "boot_id": identifiers.boot_id(),
            "clock": time.time(),
            "format": layout.FORMAT,
        }
        try:
            self.root.prepare()
            greeting["id"] = self.root.host_id()
        except errors.HostError as problem:
            self.store_error = problem
        except OSError as error:
            self.store_error = atomic.from_os_error(error, self.root.path)
        if self.store_error is not None:
            greeting["problem"] = self.store_error.to_document()
        return greeting

    def _handle_frame(self, stream: int, kind: int, body: bytes) -> None:
        if kind == frames.PING:
            self.send(frames.pack_frame(0, frames.PING))
        elif kind == frames.PART:
            self._add_part(stream, body)
        elif kind == frames.REQUEST:
            self._start_request(stream, self._join_parts(stream, body))
        elif stream in self.requests:
            context = self.requests[stream]
            if kind in (frames.DATA, frames.DEFLATED):
                context.data.put((kind, body))
            elif kind == frames.CANCEL and _is_cancellable(context):
                context.cancel()

    def _add_part(self, stream: int, body: bytes) -> None:
        """Keep a piece of a long request, and say that it came: the line may be busy with it for long. A control side
        that sends more than it may is none of ours."""
        self._partial_requests.setdefault(stream, []).append(body)
        self._partial_bytes += len(body)
        if self._partial_bytes > frames.MESSAGE_LIMIT:
            self.closed.set()
        self.send(frames.pack_frame(0, frames.PING))

    def _join_parts(self, stream: int, body: bytes) -> bytes:
        parts = self._partial_requests.pop(stream, [])
        self._partial_bytes -= sum(map(len, parts))
        return b"".join([*parts, body])

    def _start_request(self, stream: int, body: bytes) -> None:
        import json

        context = RequestContext(self, stream, json.loads(body))
        self.requests[stream] = context
        threading.Thread(target=self._answer, args=(context,), daemon=True).start()

    def _answer(self, context: RequestContext) -> None:
        with self._slots:
            body = self._reply_body(context)
        self.requests.pop(context.stream, None)
        self.send(b"".join(frames.pack_message(context.stream, frames.REPLY, body)))

    def _reply_body(self, context: RequestContext) -> bytes:
        """The reply, or the problem: never a traceback, never the request (it may hold secrets)."""
        try:
            if self.store_error is not None:
                raise self.store_error
            return frames.encode_json({"ok": self._call_handler(context)})
        except errors.HostError as problem:
            host_error = problem
        except OSError as error:
            host_error = atomic.from_os_error(error)
        except Exception as error:
            cause = f"{type(error).__name__} at {_error_location(error)}"
            text = f"the host side failed in {context.request.get('message')!r}: {cause}"
            host_error = errors.HostError("failed", text, "this is a fault of unictl: please report it")
        return frames.encode_json({"problem": host_error.to_document()})

    def _call_handler(self, context: RequestContext) -> Any:
        name = str(context.request.get("message"))
        message = MESSAGES.get(name)
        if message is None:
            raise errors.HostError("unsupported", f"unknown request {name!r}")
        request = fleet_names.resolve_request(self.root, context.request)
        needed_locks = self._locks_for(name, message, context.request)
        for lock in needed_locks:
            lock.acquire()
        try:
            return call_handler(message, self.root, request, context)
        finally:
            for lock in needed_locks:
                lock.release()

    def _locks_for(self, name: str, message: Message, request: dict[str, Any]) -> list[threading.Lock]:
        """What this request may not share: its kind, or what it changes. Sorted: no two wait in a circle."""
        keys = [name] if message.exclusive else message.locked_keys(request)
        with self._key_locks_guard:
            return [self._key_locks.setdefault(key, threading.Lock()) for key in sorted(set(keys))]

    def _shut_down(self) -> None:
        """No new frames; what is in hand ends by its own rule; then the lease is free, with the process."""
        self.closed.set()
        open_requests = list(self.requests.values())
        graces = [float(context.request.get("grace") or 0) / 1000 for context in open_requests]
        for context in open_requests:
            if _is_cancellable(context):
                context.cancel()
        deadline = time.monotonic() + DRAIN_SECONDS + max(graces, default=0.0)
        while self.requests and time.monotonic() < deadline:
            self._beat_lease()
            time.sleep(0.01)

    def _beat_lease(self) -> None:
        """Whoever wants the lease sees that its holder lives."""
        lease = self.lease
        if lease is not None:
            lease.beat()


def call_handler(
    message: Message, root: layout.StoreLayout, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """The handler's reply. One that needs a lease is given the store behind the fence of the lease, none without it."""
    handler = load_handler(*message.handler)
    if message.needs_lease:
        # A survey needs no lease, and is not to load what belongs to one.
        from .lease import fleet_lease

        root = fleet_lease.require(request, context).root
    return handler(root, request, context)


def load_handler(module: str, function: str) -> Handler:
    """A handler, its module imported now and not before."""
    imported = __import__(f"{_PACKAGE}.{module}", fromlist=[function])
    handler: Handler = getattr(imported, function)
    return handler


def _is_cancellable(context: RequestContext) -> bool:
    message = MESSAGES.get(str(context.request.get("message")))
    return message is not None and message.cancellable


def _error_location(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def take_streams() -> tuple[int, int]:
    """Private descriptors of the conversation; 0 becomes /dev/null, 1 becomes stderr."""
    input_fd, output_fd = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return input_fd, output_fd


def main(path: str) -> None:
    """Serve one conversation over the process's own standard streams."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o022)
    input_fd, output_fd = take_streams()
    try:
        root = layout.StoreLayout(path or layout.default_path())
    except errors.HostError as problem:
        os.write(2, f"unictl: {problem.text}; {problem.hint}\n".encode())
        os._exit(72)
    try:
        Dispatcher(root, input_fd, output_fd).run()
    finally:
        # Threads that hang must not keep the lease: the process ends here, whatever they do.
        os._exit(0)
