"""One health check of an instance: an HTTP answer, a TCP exchange or a line on its console, with a message for
people.

On a user network a connection proves nothing (QEMU accepts for a dead guest), so every check has a time limit and
needs an answer. ``health_gate`` decides when checks run and how often they must pass.
"""

from __future__ import annotations

import re
import socket
import time

from ..instances import console_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

ANSWER_LIMIT = 64 << 10
"""Bytes of an answer that are read at most."""
CONSOLE_LIMIT = 256 << 10
BODY_LINGER = 0.02
"""Seconds a body may pause before the rest of it is not waited for."""

_SAFE_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/?[]@!$&()*+,;=:%")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[^\n]*\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,15})", re.IGNORECASE)


class CheckError(Exception):
    """A check did not pass; the text says why."""


class Probe:
    """One check, and what is known of it so far."""

    def __init__(self, directory: str, settings: dict[str, Any]):
        self.directory = directory
        self.kind = str(settings["kind"])
        self.settings = settings
        self.interval = float(settings.get("interval") or 500) / 1000
        self.timeout = float(settings.get("timeout") or 2000) / 1000
        self.due_at = 0.0
        self.passed_at = 0.0
        self.has_passed = False
        self.message = "not checked yet"

    def check(self, timeout: float) -> bool:
        """Check once, within so many seconds; ``message`` says what came of it."""
        try:
            self.message = _CHECKS[self.kind](self, time.monotonic() + timeout)
        except socket.timeout:
            self.message = f"{self.target()}: no answer within {format_seconds(timeout)}"
        except (OSError, CheckError) as error:
            self.message = f"{self.target()}: {error.strerror if isinstance(error, OSError) else error}"
        else:
            self.passed_at, self.has_passed = time.monotonic(), True
            return True
        self.passed_at = 0.0
        return False

    def target(self) -> str:
        """``http 127.0.0.1:20001/healthz``, for people."""
        if self.kind == "console":
            return f"console {self.settings.get('pattern', '')!r}"
        return f"{self.kind} {_address(self.settings)[0]}:{self.settings.get('port')}{self.settings.get('path') or ''}"


def _check_http(probe: Probe, deadline: float) -> str:
    """A GET on a connection of its own; status 200 to 399 passes."""
    address, port = _address(probe.settings)
    target = "".join(
        chr(byte) if byte in _SAFE_BYTES else f"%{byte:02X}" for byte in (probe.settings.get("path") or "/").encode()
    )
    request = f"GET {target} HTTP/1.1\r\nHost: {address}:{port}\r\nUser-Agent: unictl\r\nConnection: close\r\n\r\n"
    with _connect(address, port, deadline) as connection:
        connection.sendall(request.encode())
        answer, head_end = b"", None
        while head_end is None:
            answer += _receive_more(connection, answer, deadline)
            head_end = _HEAD_END.search(answer)
        status_line = _STATUS_LINE.match(answer)
        if status_line is None:
            raise CheckError("the answer is not HTTP")
        _discard_body(connection, answer, head_end.end(), deadline)
    status = int(status_line.group(1))
    if not 200 <= status <= 399:
        raise CheckError(f"answered {status}")
    return f"{probe.target()} answered {status}"


def _check_tcp(probe: Probe, deadline: float) -> str:
    """Connect, send, and wait for what is expected anywhere in the answer."""
    expect = (probe.settings.get("expect") or "").encode()
    with _connect(*_address(probe.settings), deadline) as connection:
        connection.sendall((probe.settings.get("send") or "").encode())
        answer = b""
        while expect not in answer:
            answer += _receive_more(connection, answer, deadline)
    return f"{probe.target()} answered" if expect else f"{probe.target()} accepts"


def _check_console(probe: Probe, deadline: float) -> str:  # noqa: ARG001 - a check: reading a file takes no time
    """A regular expression found in what the guest wrote. Found once, it stays: consoles are bounded and roll over."""
    if not probe.has_passed:
        text = console_log.clean_text(console_log.read_content(probe.directory, CONSOLE_LIMIT))
        try:
            occurrence = re.search(probe.settings["pattern"], text, re.MULTILINE)
        except re.error as error:
            raise CheckError(f"is no regular expression: {error}") from error
        if occurrence is None:
            raise CheckError("not found yet")
    return f"{probe.target()} found"


_CHECKS: dict[str, Callable[[Probe, float], str]] = {"http": _check_http, "tcp": _check_tcp, "console": _check_console}


def _address(settings: dict[str, Any]) -> tuple[str, int]:
    """Where a probe connects: a forward bound to all addresses is asked on loopback."""
    bind = settings.get("bind") or ""
    return (bind if bind not in ("", "*", "0.0.0.0", "::") else "127.0.0.1"), int(settings["port"])


def _connect(address: str, port: int, deadline: float) -> socket.socket:
    return socket.create_connection((address, port), timeout=max(0.001, deadline - time.monotonic()))


def _receive_more(connection: socket.socket, answer: bytes, deadline: float) -> bytes:
    """The next bytes of an answer that is not complete; a CheckError or a timeout where none come."""
    if len(answer) >= ANSWER_LIMIT:
        raise CheckError(f"not found in the first {ANSWER_LIMIT >> 10} KiB of the answer")
    connection.settimeout(max(0.001, deadline - time.monotonic()))
    piece = connection.recv(ANSWER_LIMIT - len(answer))
    if not piece:
        raise CheckError(f"closed after {len(answer)} bytes" if answer else "closed without an answer")
    return piece


def _discard_body(connection: socket.socket, answer: bytes, body_start: int, deadline: float) -> None:
    """Take the body off a polite guest's hands, so that its close is not a reset; bounded in bytes and in time."""
    length = _CONTENT_LENGTH.search(answer, 0, body_start)
    remaining = min(ANSWER_LIMIT, int(length.group(1)) if length else ANSWER_LIMIT) - (len(answer) - body_start)
    try:
        while remaining > 0:
            connection.settimeout(max(0.001, min(BODY_LINGER, deadline - time.monotonic())))
            piece = connection.recv(65536)
            if not piece:
                return
            remaining -= len(piece)
    except OSError:
        return


def format_seconds(duration: float) -> str:
    """``0.5 s``."""
    return f"{duration:.3g} s"
