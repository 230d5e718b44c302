"""Whether an instance does what it is for: probed from its host, as often and as long as the fleet file says.

On a user network a connection proves nothing (QEMU accepts for a dead guest), so every check has a time limit and wants
an answer. Nothing here is written down, and nothing here starts or ends an instance.
"""

from __future__ import annotations

import os
import re
import socket
import time

from . import records, ring, supervise, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RETRY = 0.005
"""Seconds between the first tries: a guest that boots in 50 ms is seen at once."""
FIRST_LIMIT = 0.02
"""Seconds the first tries have: a connection made before the guest listens may hang although the next one succeeds."""
LOOK = 0.25
"""Seconds between two looks at the process."""
LOOK_BEGUN = 0.02
"""The same while it is only being started."""
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
            self.why = f"{self.where()}: no answer within {_seconds(limit)}"
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


def await_(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Wait until every probe has passed without a break for ``min_healthy_time``, at most ``healthy_deadline`` (ms); of
    a ``job``, until it has ended well."""
    gate = JobGate(root, ask) if ask.get("job") else Gate(root, ask)
    while True:
        why = gate.ended()
        if why or gate.over():
            return gate.reply(False, why or gate.late())
        gate.check()
        if gate.proven():
            return gate.reply(True, gate.told())
        if call.cancelled.wait(gate.pause()):
            raise wire.Problem("cancelled", f"waiting for {gate.key} to be healthy was cancelled")


def health(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """One round of the checks now: {healthy, why}."""
    gate = Gate(root, ask)
    why = gate.ended()
    if not why and gate.state["state"] == "begun":
        why = "it was never started"
    failed = [] if why else [probe.why for probe in gate.probes if not probe.passes(probe.timeout)]
    return {"healthy": not (why or failed), "why": why or "; ".join(failed) or gate.told()}


class Gate:
    """One instance on its way to be proven."""

    def __init__(self, root: records.Root, ask: dict[str, Any]):
        self.root, self.owner, self.key = root, ask["owner"], ask["key"]
        self.folder = root.instance(self.owner, self.key)
        if not os.path.isdir(self.folder):
            raise wire.Problem("not-found", f"there is no instance {self.key} on this host", "plan again")
        self.probes = [Probe(self.folder, probe) for probe in ask.get("probes") or () if probe["kind"] != "udp"]
        self.enough = float(ask.get("min_healthy_time") or 0) / 1000
        self.begun = time.monotonic()
        self.deadline = self.begun + float(ask.get("healthy_deadline") or 30_000) / 1000
        self.since = 0.0
        self.look_at = 0.0
        self.state = self._look()
        self.starts = int(self.state["starts"])

    def ended(self) -> str:
        """Why it will not become healthy any more; empty while it may."""
        if time.monotonic() >= self.look_at:
            self.state = self._look()
        end, starts = self.state["end"], self.state["starts"]
        if end is not None:
            return _with_console(_ending(end), end.get("console") or ring.tail(self.folder))
        if self.state["state"] in ("leaving", "lost", "damaged"):
            return f"it does not run: {self.state['state']}"
        if self.starts and starts != self.starts:
            return _with_console("it ended and was started again", ring.tail(self.folder))
        self.starts = starts
        return ""

    def _look(self) -> dict[str, Any]:
        self.look_at = time.monotonic() + LOOK
        # Whether a keeper watches it is not asked: that does not make it more or less healthy.
        return supervise.state(self.root, self.owner, self.key, True)

    def over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline

    def check(self) -> None:
        """Make the checks that are due; one failure, or a process that is not there, begins the time anew."""
        running = self.state["state"] in ("running", "unsupervised")
        passed = [self._check(probe) for probe in self.probes if probe.due <= time.monotonic()]
        if not all(passed):
            # A guest that ended refuses its connections: look now, not at the next round.
            self.look_at = 0.0
        elif not running:
            self.look_at = min(self.look_at, time.monotonic() + LOOK_BEGUN)
        if not running or not all(probe.passed_at for probe in self.probes):
            self.since = 0.0
        elif not self.since:
            self.since = time.monotonic()

    def _check(self, probe: Probe) -> bool:
        began = time.monotonic()
        age = began - self.begun
        limit = probe.timeout if probe.seen else min(probe.timeout, max(FIRST_LIMIT, age / 4))
        said, granted = probe.why, max(0.001, min(limit, self.deadline - began))
        passed = probe.passes(granted)
        if not passed and said and granted < limit:
            # Cut short by the deadline: what an earlier check heard says more than that this one heard nothing.
            probe.why = said
        probe.due = time.monotonic() + (probe.interval if probe.seen else min(probe.interval, max(RETRY, age / 8)))
        return passed

    def proven(self) -> bool:
        """Whether all passed for long enough, with a last check after that time."""
        if not self.since:
            return False
        proven_at = self.since + self.enough
        if not self.enough or not self.probes:
            return time.monotonic() >= proven_at
        return all(probe.passed_at >= proven_at for probe in self.probes)

    def pause(self) -> float:
        """Seconds until something is due."""
        now = time.monotonic()
        times = [probe.due for probe in self.probes] + [self.deadline, max(self.look_at, now + RETRY)]
        if self.since:
            proven_at = self.since + self.enough
            for probe in self.probes if now <= proven_at else ():
                probe.due = min(probe.due, proven_at)
            times += [probe.due for probe in self.probes] or [proven_at]
        return max(0.0, min(times) - now)

    def reply(self, healthy: bool, why: str) -> dict[str, Any]:
        """The reply of ``await``."""
        return {"healthy": healthy, "took": round((time.monotonic() - self.begun) * 1000), "why": why}

    def told(self) -> str:
        """What was proven, for people."""
        return "; ".join(probe.why for probe in self.probes) or "it runs (process only: it has no health check)"

    def late(self) -> str:
        """Why the deadline passed."""
        within = f"not healthy within {_seconds(self.deadline - self.begun)}"
        failing = [probe.why for probe in self.probes if not probe.passed_at]
        if not failing and self.since:
            passing = _seconds(time.monotonic() - self.since)
            return f"{within}: it has passed for {passing} of {_seconds(self.enough)}"
        why = "; ".join(failing) or f"it is {self.state['state']}"
        return _with_console(f"{within}: {why}", ring.tail(self.folder))


class JobGate(Gate):
    """One run of a job on its way to its end: proven by a clean one."""

    def ended(self) -> str:
        """Why it will not end well any more; empty while it may, and when it has."""
        why = super().ended()
        return "" if self.proven() else why

    def check(self) -> None:
        """Nothing is asked of a job."""

    def proven(self) -> bool:
        """Whether it ended well."""
        return (self.state["end"] or {}).get("verdict") == "clean"

    def late(self) -> str:
        """What is said at the deadline."""
        return _with_console(f"it did not end within {_seconds(self.deadline - self.begun)}", ring.tail(self.folder))

    def told(self) -> str:
        """What is said of a good end."""
        return "ended well"


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
        text = ring.clean(ring.content(probe.folder, CONSOLE_LIMIT))
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


def _ending(end: dict[str, Any]) -> str:
    """``it ended: crash (signal 11)`` of end facts."""
    facts = [f"{name} {end[name]}" for name in ("code", "status", "signal", "reason") if end.get(name) is not None]
    return f"it ended: {end.get('verdict', 'unknown')}" + (f" ({', '.join(facts)})" if facts else "")


def _with_console(why: str, lines: list[str]) -> str:
    return "\n".join([why + (", its console last said:" if lines else ", its console is empty"), *lines])


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s"
