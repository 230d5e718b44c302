"""One process and the conversation with it: frames, requests, events, uploads that the host pulls, heartbeat, the
end.

Nothing waits for the hello: the zip and the first requests leave in one write, so a survey costs one round trip. If
the other end hangs up before it has said anything, the start is tried again, a few times.
"""

import asyncio
import json
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from unictl.diagnostics.failure import Failure, Unreachable
from unictl.hosts import disconnect
from unictl.hosts.upload import Upload
from unictl.onhost.protocol import frames

PREAMBLE_LIMIT = 64 << 10
"""Bytes a login shell may print before the host side speaks."""
STDERR_LIMIT = 4096
CLOSE_TIMEOUT = 15.0
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further try where the other end hangs up as the connection begins; a half more or less."""

EventHandler = Callable[[dict[str, Any]], None]
ByteSink = Callable[[bytes], object]
CommandWrapper = Callable[[tuple[str, ...], bool], tuple[str, ...]]
DropTest = Callable[[int, str], bool]
ProcessStarter = Callable[[], Awaitable[asyncio.subprocess.Process]]


class RequestStream:
    """One request on its way: its reply, its events, the file it uploads, where bytes go that the host sends."""

    def __init__(self, event: EventHandler | None, upload: Upload | None, sink: ByteSink | None):
        self.event = event
        self.upload = upload
        self.sink = sink
        self.reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.parts: list[bytes] = []


class Conversation:
    """A started host side.

    ``name`` is the host's, for what people read; ``request_count`` counts requests, each one round trip (the first
    leaves together with the host side itself).
    """

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        nonce: str,
        explain: disconnect.ExitExplainer,
        is_local: bool,
        start_process: ProcessStarter | None = None,
        is_dropped: DropTest = lambda _code, _stderr: False,
    ):
        self.name = name
        self.is_local = is_local
        self.hello: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._process = process
        self._nonce = nonce
        self._explain = explain
        self._start = start_process
        self._is_dropped = is_dropped
        self._streams: dict[int, RequestStream] = {}
        self._next_number = 1
        self.request_count = 0
        self.drop_count = 0
        self._replay_buffer: list[bytes] | None = []
        self._last_heard = asyncio.get_running_loop().time()
        self._stderr_tail = b""
        self._preamble_output = b""
        self._failure: Unreachable | None = None
        self._is_silent = False
        self._closing = asyncio.Event()
        self._tasks = [
            asyncio.create_task(task)
            for task in (self._receive_until_end(), self._read_stderr(), self._send_heartbeats())
        ]

    @property
    def is_established(self) -> bool:
        """Whether the host side has said something: from then on nothing is tried again here."""
        return self._replay_buffer is None

    @property
    def was_cut(self) -> bool:
        """Whether it ended in the middle, and not by a silence or by us."""
        return self.is_established and self._failure is not None and not self._is_silent and not self._closing.is_set()

    @property
    def connect_trouble(self) -> str:
        """How the way there was found, where it was not found at once."""
        if not self.drop_count or not self.is_established:
            return ""
        times = "once" if self.drop_count == 1 else f"{self.drop_count} times"
        return f"host {self.name}: its sshd, or a jump host's, dropped the connection as it began, {times}"

    # -- asking

    async def send_request(
        self,
        request: Mapping[str, Any],
        *,
        event: EventHandler | None = None,
        upload: Upload | None = None,
        sink: ByteSink | None = None,
    ) -> dict[str, Any]:
        """The reply ``{"ok": ...}`` or ``{"problem": ...}``; Unreachable when the host is gone or silent, another
        Failure where it is longer than a host takes: nothing is sent then."""
        self._raise_if_failed()
        body = self._encode_request(request)
        number, self._next_number = self._next_number, self._next_number + 1
        stream = self._streams[number] = RequestStream(event, upload, sink)
        self.request_count += 1
        if len(self._streams) == 1:
            self._last_heard = max(self._last_heard, asyncio.get_running_loop().time())
        self.send(b"".join(frames.pack_message(number, frames.REQUEST, body)))
        sending = self._start_upload(number, upload, stream)
        try:
            return await stream.reply
        except asyncio.CancelledError:
            self.send(frames.pack_frame(number, frames.CANCEL))
            raise
        finally:
            self._streams.pop(number, None)
            if sending is not None:
                sending.cancel()

    def _encode_request(self, request: Mapping[str, Any]) -> bytes:
        body = frames.encode_json(request)
        if len(body) > frames.MESSAGE_LIMIT:
            sizes = f"{len(body) / 1e6:.1f} MB, and a host takes {frames.MESSAGE_LIMIT / 1e6:.1f} MB at once"
            text = f"host {self.name}: what it is to be told for `{request['message']}` is {sizes}"
            raise Failure(text, hint="make two fleets of this one; nothing of it was sent")
        return body

    def _start_upload(self, number: int, upload: Upload | None, stream: RequestStream) -> asyncio.Task[None] | None:
        """What answers the host's wishes for pieces of a file."""
        if upload is None or self._process.stdin is None:
            return None
        sending = asyncio.create_task(upload.run(number, self._process.stdin))
        sending.add_done_callback(lambda task: self._upload_ended(number, task, stream, upload.source.name))
        return sending

    def _upload_ended(self, number: int, task: asyncio.Task[None], stream: RequestStream, file: str) -> None:
        """A file that cannot be sent ends its request. A line that broke ends the reader too, which tells it."""
        error = None if task.cancelled() else task.exception()
        if error is None or isinstance(error, ConnectionError) or stream.reply.done():
            return
        reason = (isinstance(error, OSError) and error.strerror) or error
        text = f"host {self.name}: {file} cannot be sent there any more: {reason}"
        hint = "plan again when nothing writes to it; what is there already is not sent again"
        stream.reply.set_exception(Failure(text, hint=hint))
        self.send(frames.pack_frame(number, frames.CANCEL))

    def send(self, data: bytes) -> None:
        """Bytes for the host side; said again to another process while nothing was answered."""
        if self._replay_buffer is not None:
            self._replay_buffer.append(data)
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    def _raise_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure

    # -- hearing

    async def _receive_until_end(self) -> None:
        """Listen to the end; begin again where nothing was said and the other end may take it now."""
        while True:
            await self._receive()
            code = await self._process.wait()
            with suppress(Exception):
                await asyncio.wait_for(asyncio.shield(self._tasks[1]), 1)
            if not await self._restart_if_dropped(code):
                break
        stderr, preamble = (output.decode("utf-8", "replace") for output in (self._stderr_tail, self._preamble_output))
        self._fail(
            disconnect.disconnect_failure(
                self.name,
                code,
                stderr,
                preamble,
                self._explain,
                established=self.is_established,
                is_local=self.is_local,
            )
        )

    async def _receive(self) -> None:
        assert self._process.stdout is not None
        try:
            await self._skip_preamble(self._process.stdout)
            self._replay_buffer = None
            while True:
                head = await self._process.stdout.readexactly(frames.HEADER.size)
                size, number, kind = frames.HEADER.unpack(head)
                if size > frames.body_limit(kind):
                    break
                body = await self._process.stdout.readexactly(size) if size else b""
                self._last_heard = asyncio.get_running_loop().time()
                self._handle_frame(number, kind, body)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass

    async def _restart_if_dropped(self, code: int) -> bool:
        """Whether another process says what was said to the one that was dropped."""
        stderr = self._stderr_tail.decode("utf-8", "replace")
        if (
            self._start is None
            or self._replay_buffer is None
            or self.drop_count >= len(PAUSES)
            or not self._is_dropped(code, stderr)
        ):
            return False
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), PAUSES[self.drop_count] * random.uniform(0.5, 1.5))
        if self._closing.is_set() or self._failure is not None:
            return False
        self.drop_count += 1
        self._stderr_tail = self._preamble_output = b""
        await self._close_transport()
        self._process = await self._start()
        if self._closing.is_set():
            self._kill()
        self._last_heard = asyncio.get_running_loop().time()
        self._tasks[1] = asyncio.create_task(self._read_stderr())
        if self._process.stdin is not None:
            self._process.stdin.write(b"".join(self._replay_buffer))
        return True

    async def _skip_preamble(self, reader: asyncio.StreamReader) -> None:
        """Skip what the login shell prints, up to the nonce; keep it for the error text."""
        greeting = frames.PREAMBLE + self._nonce.encode()
        while greeting not in self._preamble_output:
            try:
                self._preamble_output += await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                self._preamble_output += end.partial
                raise
            except asyncio.LimitOverrunError:
                # A line without end.
                self._preamble_output += await reader.read(PREAMBLE_LIMIT + 1)
            if len(self._preamble_output) > PREAMBLE_LIMIT:
                self._fail(disconnect.flooded_failure(self.name, self._preamble_output))
                self._kill()
                raise ValueError("no host side in sight")
        self._preamble_output = self._preamble_output.partition(greeting)[0]

    def _handle_frame(self, number: int, kind: int, body: bytes) -> None:
        if number == 0:
            if kind == frames.EVENT and not self.hello.done():
                self.hello.set_result(json.loads(body))
            return
        stream = self._streams.get(number)
        if stream is None:
            return
        if kind == frames.EVENT and stream.event is not None:
            stream.event(json.loads(body))
        elif kind == frames.PART:
            stream.parts.append(body)
        elif kind == frames.REPLY and not stream.reply.done():
            stream.reply.set_result(json.loads(b"".join([*stream.parts, body])))
        elif kind == frames.WANT and stream.upload is not None:
            stream.upload.request_chunk(json.loads(body))
        elif kind in (frames.DATA, frames.DEFLATED) and stream.sink is not None:
            stream.sink(frames.unpack_data(kind, body)[1])

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with suppress(ConnectionError):
            while piece := await self._process.stderr.read(4096):
                self._stderr_tail = (self._stderr_tail + piece)[-STDERR_LIMIT:]

    async def _send_heartbeats(self) -> None:
        """Ping; a host that says nothing for so long while something is asked of it is silent."""
        while True:
            await asyncio.sleep(frames.PING_INTERVAL)
            if self.is_established:
                self.send(frames.pack_frame(0, frames.PING))
            silence = asyncio.get_running_loop().time() - self._last_heard
            if self._streams and silence > frames.SILENCE_LIMIT:
                self._is_silent = True
                self._fail(disconnect.silence_failure(self.name, silence, established=self.is_established))
                self._kill()

    # -- ending

    def _fail(self, failure: Unreachable) -> None:
        if self._failure is None:
            self._failure = failure
        for future in [stream.reply for stream in self._streams.values()] + [self.hello]:
            if not future.done():
                future.set_exception(self._failure)
        if not self.hello.cancelled() and self.hello.done():
            # Nobody need have asked for the hello; an unread failure is not worth a warning at exit.
            self.hello.exception()

    def _kill(self) -> None:
        """An ssh goes with what it has started to jump; a host side of this very machine is not its children."""
        with suppress(ProcessLookupError):
            if self.is_local or self._process.returncode is not None:
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """End it: the host side sees the end of its input, finishes what is in hand and frees the lease."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._tasks[2].cancel()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not self.request_count or not (self.is_established or self._streams):
            # Nothing is in hand there, or nobody waits for it any more; it may not be reached yet, which can take long.
            self._kill()
        try:
            await asyncio.wait_for(asyncio.shield(self._tasks[0]), CLOSE_TIMEOUT)
        except (TimeoutError, asyncio.CancelledError):
            self._kill()
            raise
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._close_transport()

    async def _close_transport(self) -> None:
        """A loop that closes right after this finds nothing open, also where somebody left in a hurry, and no word of
        a pipe that broke, which an older Python (3.11.2) has where nobody asks for it."""
        self._process._transport.close()  # type: ignore[attr-defined]
        await self._process.wait()
        if self._process.stdin is not None:
            with suppress(OSError):
                await self._process.stdin.wait_closed()
