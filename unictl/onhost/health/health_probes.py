"""One health check of an instance: an HTTP answer, a TCP exchange or a line on its console, with a message for
people.

On a user network a connection proves nothing (QEMU accepts for a dead guest), so every check has a time limit and
needs
an answer. ``health_gate`` decides when checks run and how often they must pass.
"""

from __future__ import annotations

import re
import socket
import time

from ..instances import console_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ANSWER_LIMIT = 64 << 10
"""Bytes of an answer that are read at most."""
CONSOLE_LIMIT = 256 << 10
LINGER = 0.02
"""Seconds a body may pause before the rest of it is not waited for."""

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/?[]@!$&()*+,;=:%")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[^\n]*\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,15})", re.IGNORECASE)


class CheckError(Exception):
    """A check did not pass; the text says why."""


class Probe:
    """One check, and what is known of it so far."""

    def __init__(self, folder: str, ask: dict[str, Any]):
        self.folder = folder
        self.kind = str(ask["kind"])
        self.ask = ask
        self.interval = float(ask.get("interval") or 500) / 1000
        self.timeout = float(ask.get("timeout") or 2000) / 1000
        self.due = 0.0
        self.passed_at = 0.0
        self.seen = False
        self.why = "not checked yet"

    def passes(self, limit: float) -> bool:
        """Check once, within so many seconds; ``why`` says what came of it."""
        try:
            self.why = _CHECKS[self.kind](self, time.monotonic() + limit)
        except socket.timeout:
            self.why = f"{self.where()}: no answer within {seconds(limit)}"
        except (OSError, CheckError) as error:
            self.why = f"{self.where()}: {error.strerror if isinstance(error, OSError) else error}"
        else:
            self.passed_at, self.seen = time.monotonic(), True
            return True
        self.passed_at = 0.0
        return False

    def where(self) -> str:
        """``http 127.0.0.1:20001/healthz``, for people."""
        if self.kind == "console":
            return f"console {self.ask.get('pattern', '')!r}"
        return f"{self.kind} {_address(self.ask)[0]}:{self.ask.get('port')}{self.ask.get('path') or ''}"


def _http(probe: Probe, deadline: float) -> str:
    """A GET on a connection of its own; status 200 to 399 passes."""
    address, port = _address(probe.ask)
    target = "".join(chr(c) if c in _SAFE else f"%{c:02X}" for c in (probe.ask.get("path") or "/").encode())
    request = f"GET {target} HTTP/1.1\r\nHost: {address}:{port}\r\nUser-Agent: unictl\r\nConnection: close\r\n\r\n"
    with _connected(address, port, deadline) as connection:
        connection.sendall(request.encode())
        answer, end = b"", None
        while end is None:
            answer += _more(connection, answer, deadline)
            end = _HEAD_END.search(answer)
        found = _STATUS.match(answer)
        if found is None:
            raise CheckError("the answer is not HTTP")
        _discard(connection, answer, end.end(), deadline)
    status = int(found.group(1))
    if not 200 <= status <= 399:
        raise CheckError(f"answered {status}")
    return f"{probe.where()} answered {status}"


def _tcp(probe: Probe, deadline: float) -> str:
    """Connect, send, and wait for what is expected anywhere in the answer."""
    expect = (probe.ask.get("expect") or "").encode()
    with _connected(*_address(probe.ask), deadline) as connection:
        connection.sendall((probe.ask.get("send") or "").encode())
        answer = b""
        while expect not in answer:
            answer += _more(connection, answer, deadline)
    return f"{probe.where()} answered" if expect else f"{probe.where()} accepts"


def _console(probe: Probe, deadline: float) -> str:  # noqa: ARG001 - a check: reading a file takes no time
    """A regular expression found in what the guest wrote. Found once, it stays: consoles are bounded and roll over."""
    if not probe.seen:
        text = console_log.clean(console_log.content(probe.folder, CONSOLE_LIMIT))
        try:
            found = re.search(probe.ask["pattern"], text, re.MULTILINE)
        except re.error as error:
            raise CheckError(f"is no regular expression: {error}") from error
        if found is None:
            raise CheckError("not found yet")
    return f"{probe.where()} found"


_CHECKS: dict[str, Any] = {"http": _http, "tcp": _tcp, "console": _console}


def _address(ask: dict[str, Any]) -> tuple[str, int]:
    """Where a probe connects: a forward bound to all addresses is asked on loopback."""
    bind = ask.get("bind") or ""
    return (bind if bind not in ("", "*", "0.0.0.0", "::") else "127.0.0.1"), int(ask["port"])


def _connected(address: str, port: int, deadline: float) -> socket.socket:
    return socket.create_connection((address, port), timeout=max(0.001, deadline - time.monotonic()))


def _more(connection: socket.socket, answer: bytes, deadline: float) -> bytes:
    """The next bytes of an answer that is not complete; a CheckError or a timeout where none come."""
    if len(answer) >= ANSWER_LIMIT:
        raise CheckError(f"not found in the first {ANSWER_LIMIT >> 10} KiB of the answer")
    connection.settimeout(max(0.001, deadline - time.monotonic()))
    piece = connection.recv(ANSWER_LIMIT - len(answer))
    if not piece:
        raise CheckError(f"closed after {len(answer)} bytes" if answer else "closed without an answer")
    return piece


def _discard(connection: socket.socket, answer: bytes, body: int, deadline: float) -> None:
    """Take the body off a polite guest's hands, so that its close is not a reset; bounded in bytes and in time."""
    length = _LENGTH.search(answer, 0, body)
    left = min(ANSWER_LIMIT, int(length.group(1)) if length else ANSWER_LIMIT) - (len(answer) - body)
    try:
        while left > 0:
            connection.settimeout(max(0.001, min(LINGER, deadline - time.monotonic())))
            piece = connection.recv(65536)
            if not piece:
                return
            left -= len(piece)
    except OSError:
        return


def seconds(number: float) -> str:
    """``0.5 s``."""
    return f"{number:.3g} s"
