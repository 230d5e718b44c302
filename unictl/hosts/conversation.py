"""One process, one conversation: frames, requests, events, uploads that the host pulls, heartbeat, the end.

Nothing waits for the hello: the zip and the first requests leave in one write, so a survey costs one round trip.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from unictl.diagnostics.failure import Unreachable
from unictl.hosts import archive, bootstrap
from unictl.hosts.upload import HIGH, LOW, Upload
from unictl.onhost import wire
from unictl.processes import command

PREAMBLE_LIMIT = 64 << 10
"""Bytes a login shell may print before the host side speaks."""
STDERR_KEPT = 4096
CLOSE_PATIENCE = 15.0

Event = Callable[[dict[str, Any]], None]
Sink = Callable[[bytes], object]
Reached = Callable[[tuple[str, ...], bool], tuple[str, ...]]
Explain = Callable[[int, str], tuple[str, str]]


class Stream:
    """One request on its way: its reply, its events, the file it uploads, where bytes go that the host sends."""

    def __init__(self, event: Event | None, upload: Upload | None, sink: Sink | None):
        self.event = event
        self.upload = upload
        self.sink = sink
        self.reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.parts: list[bytes] = []


class Conversation:
    """A started host side. ``name`` is the host's, for what people read; ``asked`` counts requests, each one round
    trip (the first leaves together with the host side itself)."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, nonce: str, explain: Explain, near: bool):
        self.name = name
        self.near = near
        self.hello: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._process = process
        self._nonce = nonce
        self._explain = explain
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self.asked = 0
        self._heard = asyncio.get_running_loop().time()
        self._said = b""
        self._skipped = b""
        self._failure: Unreachable | None = None
        self._closing = False
        self._tasks = [asyncio.create_task(task) for task in (self._read(), self._stderr(), self._beat())]

    # -- asking

    async def ask(
        self,
        request: Mapping[str, Any],
        *,
        event: Event | None = None,
        upload: Upload | None = None,
        sink: Sink | None = None,
    ) -> dict[str, Any]:
        """The reply ``{"ok": ...}`` or ``{"problem": ...}``; Unreachable when the host is gone or silent."""
        self._raise_if_gone()
        number, self._next = self._next, self._next + 1
        stream = self._streams[number] = Stream(event, upload, sink)
        self.asked += 1
        if len(self._streams) == 1:
            self._heard = max(self._heard, asyncio.get_running_loop().time())
        self._send(wire.frame(number, wire.REQUEST, wire.encode(request)))
        sending = self._sending(number, upload)
        try:
            return await stream.reply
        except asyncio.CancelledError:
            self._send(wire.frame(number, wire.CANCEL))
            raise
        finally:
            self._streams.pop(number, None)
            if sending is not None:
                sending.cancel()

    def _sending(self, number: int, upload: Upload | None) -> asyncio.Task[None] | None:
        """What answers the host's wishes for pieces of a file."""
        if upload is None or self._process.stdin is None:
            return None
        sending = asyncio.create_task(upload.run(number, self._process.stdin))
        # A line that broke ends the reader too, which tells it; what broke here is the same.
        sending.add_done_callback(lambda task: task.cancelled() or task.exception())
        return sending

    def _send(self, data: bytes) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    def _raise_if_gone(self) -> None:
        if self._failure is not None:
            raise self._failure

    # -- hearing

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            await self._preamble(self._process.stdout)
            while True:
                head = await self._process.stdout.readexactly(wire.HEAD.size)
                size, number, kind = wire.HEAD.unpack(head)
                if size > wire.limit(kind):
                    break
                body = await self._process.stdout.readexactly(size) if size else b""
                self._heard = asyncio.get_running_loop().time()
                self._frame(number, kind, body)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        await self._gone()

    async def _preamble(self, reader: asyncio.StreamReader) -> None:
        """Skip what the login shell prints, up to the nonce; keep it for the error text."""
        wanted = wire.PREAMBLE + self._nonce.encode()
        while wanted not in self._skipped:
            piece = await reader.readuntil(b"\n")
            self._skipped += piece
            if len(self._skipped) > PREAMBLE_LIMIT:
                raise ValueError("no host side in sight")
        self._skipped = self._skipped.partition(wanted)[0]

    def _frame(self, number: int, kind: int, body: bytes) -> None:
        if number == 0:
            if kind == wire.EVENT and not self.hello.done():
                self.hello.set_result(json.loads(body))
            return
        stream = self._streams.get(number)
        if stream is None:
            return
        if kind == wire.EVENT and stream.event is not None:
            stream.event(json.loads(body))
        elif kind == wire.PART:
            stream.parts.append(body)
        elif kind == wire.REPLY and not stream.reply.done():
            stream.reply.set_result(json.loads(b"".join([*stream.parts, body])))
        elif kind == wire.WANT and stream.upload is not None:
            stream.upload.want(json.loads(body))
        elif kind in (wire.DATA, wire.DEFLATED) and stream.sink is not None:
            stream.sink(wire.piece(kind, body)[1])

    async def _stderr(self) -> None:
        assert self._process.stderr is not None
        with suppress(ConnectionError):
            while piece := await self._process.stderr.read(4096):
                self._said = (self._said + piece)[-STDERR_KEPT:]

    async def _beat(self) -> None:
        """Ping; a host that says nothing for so long while something is asked of it is silent."""
        while True:
            await asyncio.sleep(wire.PING_EVERY)
            self._send(wire.frame(0, wire.PING))
            quiet = asyncio.get_running_loop().time() - self._heard
            if self._streams and quiet > wire.SILENCE:
                text = f"host {self.name}: it has said nothing for {quiet:.0f} s"
                self._fail(Unreachable(text, hint="look at the connection, and run the same command again"))
                self._kill()

    # -- ending

    async def _gone(self) -> None:
        code = await self._process.wait()
        with suppress(Exception):
            await asyncio.wait_for(asyncio.shield(self._tasks[1]), 1)
        self._fail(self._reason(code))

    def _reason(self, code: int) -> Unreachable:
        said = self._said.decode("utf-8", "replace").strip()
        why, hint = self._told(code, said)
        lines = "\n".join(said.splitlines()[-5:])
        before = self._skipped.decode("utf-8", "replace").strip()
        detail = "\n".join(
            part for part in (lines, f"before that it printed: {before[-500:]}" if before else "") if part
        )
        text = f"host {self.name}: {why or f'it ended the conversation (exit {code})'}"
        return Unreachable(text, hint=hint or "run the same command again; nothing is left half done", detail=detail)

    def _told(self, code: int, said: str) -> tuple[str, str]:
        """What the end means: what sudo or ssh said comes first, since they share codes with the start."""
        explained = self._explain(code, said)
        return explained if explained[0] else bootstrap.told(code, said)

    def _fail(self, failure: Unreachable) -> None:
        if self._failure is None:
            self._failure = failure
        for waiting in [stream.reply for stream in self._streams.values()] + [self.hello]:
            if not waiting.done():
                waiting.set_exception(self._failure)
        if not self.hello.cancelled() and self.hello.done():
            # Nobody need have asked for the hello; an unread failure is not worth a warning at exit.
            self.hello.exception()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """End it: the host side sees the end of its input, finishes what is in hand and frees the lease."""
        if self._closing:
            return
        self._closing = True
        self._tasks[2].cancel()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not self.asked:
            # Nothing is in hand there; it may even not be reached yet, which can take long.
            self._kill()
        try:
            await asyncio.wait_for(asyncio.shield(self._tasks[0]), CLOSE_PATIENCE)
        except (TimeoutError, asyncio.CancelledError):
            self._kill()
            raise
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def begin(
    name: str,
    argv: Callable[[tuple[str, ...]], Sequence[str]],
    *,
    root: str = "",
    become: bool = False,
    near: bool = False,
    explain: Explain = lambda _code, _said: ("", ""),
    env: Mapping[str, str] | None = None,
) -> Conversation:
    """Start a host side; ``argv`` makes the local command line of the one on the host. ``near``: see ``archive``."""
    data, digest = archive.packed(near)
    nonce = secrets.token_hex(16)
    words = argv(bootstrap.argv(nonce, len(data), digest, root=root, become=become))
    try:
        process = await command.spawn(words, own_session=True, env=env)
    except OSError as error:
        text = f"host {name}: cannot start {words[0]}: {error.strerror}"
        raise Unreachable(text, hint=f"install {os.path.basename(words[0])} on this machine") from error  # noqa: PTH119
    if process.stdin is not None:
        process.stdin.transport.set_write_buffer_limits(HIGH, LOW)
    conversation = Conversation(name, process, nonce, explain, near)
    conversation._send(data)
    return conversation
