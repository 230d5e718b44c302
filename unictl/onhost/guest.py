"""One instance as its keeper sees it: start, console, QMP, end, back-off. Knows the disk, not who asks.

A hypervisor found running (its keeper died) is taken over by a pidfd: it is no child, so its exit status stays unknown.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from . import facts, locks, privilege, processes, qmp, records, ring, spawn, verdicts, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .loop import Loop, Timer

BACKOFF_FIRST, BACKOFF_MOST = 1.0, 60.0
STEADY = 60.0
"""Seconds of running after which the back-off begins anew."""
CHUNK = 65536


class Guest:
    """``state`` is idle, running or waiting (back-off)."""

    def __init__(self, loop: Loop, root: records.Root, owner: str, key: str):
        self.loop = loop
        self.root = root
        self.owner = owner
        self.key = key
        self.folder = root.instance(owner, key)
        self.token = records.token(owner, key)
        self.run = root.run(self.token)
        self.uid = privilege.user(root, self.token)
        self.state = "idle"
        self.number = 0
        self.level = 0
        self._child = False
        self._pid = 0
        self._pidfd = -1
        self._since = 0.0
        self._stopping = False
        self._reason: str | None = None
        self._ring = ring.Ring(self.folder)
        self._monitor: qmp.Monitor | None = None
        self._listener: socket.socket | None = None
        self._sources: set[int] = set()
        self._timer: Timer | None = None
        self._waiting: list[Callable[[], None]] = []

    # -- starting

    def start(self) -> None:
        """Run it, or take over the one that runs; OSError or Problem where neither can be."""
        if self.state == "running":
            return
        self._cancel()
        record = self._record()
        run = record["run"]
        spawn.run_folder(self.root, self.token, self.uid)
        held = spawn.lock(self.root, self.owner, run, self.run, self.uid)
        if held is None:
            self.adopt()
            return
        try:
            self._start(run, held)
        finally:
            held.close()

    def _start(self, run: dict[str, Any], held: spawn.Inherited) -> None:
        last = facts.last(self.folder) or {}
        self.number = int(last.get("n", 0)) + 1
        try:
            argv = spawn.command(self.root, self.owner, self.key, run)
            records.remove_file(self.run + "/qmp")
            self._listen(run)
            held.output = self._output()
            self._pid = spawn.spawn(argv, self.folder, self.run, self.number, held, self.uid)
        except OSError as error:
            self._never_ran(f"cannot start {error.filename}: {error.strerror}")
            raise
        self._child = True
        self._watch(os.pidfd_open(self._pid), run)

    def _never_ran(self, reason: str) -> None:
        """What cannot be executed is a configuration error: written down, never tried again by itself."""
        self._close()
        self._write_end({"status": None, "signal": None, "reason": reason}, "configuration", None, False)

    def adopt(self) -> None:
        """Take over the hypervisor that holds ``alive``; this keeper is not its parent."""
        last = facts.last(self.folder) or {}
        self.number = int(last.get("n", 0)) or 1
        pid, ticks = int(last.get("pid", 0)), last.get("ticks")
        if last.get("event") != "started" or processes.ticks(pid) != ticks:
            pid = processes.holder_of(self.run + "/alive")
            if not pid:
                return
            facts.append(self.folder, spawn.started(pid, self.number))
            ticks = processes.ticks(pid)
        pidfd = processes.open_pidfd(pid, ticks)
        if pidfd is None:
            return
        run = (records.read_json(self.folder + "/record.json") or {}).get("run", {"argv": []})
        self._pid, self._child = pid, False
        self._listen(run)
        self._output(reader_only=True)
        self._watch(pidfd, run)

    def _watch(self, pidfd: int, run: dict[str, Any]) -> None:
        self.state, self._since = "running", time.monotonic()
        self._stopping, self._reason = False, None
        self._pidfd = pidfd
        self.loop.watch(pidfd, self._ended)
        if any("{run}/qmp" in word for word in run["argv"]):
            self._monitor = qmp.Monitor(self.loop, self.run + "/qmp", self._beyond_help)

    def _record(self) -> dict[str, Any]:
        record = records.read_json(self.folder + "/record.json")
        if record is None:
            raise wire.Problem("not-found", f"{self.key} is not on this host", "plan again")
        if os.path.exists(self.folder + "/intent"):
            raise wire.Problem("failed", f"{self.key} is being retired", "run apply again: it finishes that first")
        found: dict[str, Any] = record
        return found

    # -- console

    def _listen(self, run: dict[str, Any]) -> None:
        """The socket QEMU's serial port connects to (and comes back to after a takeover)."""
        if not any("{run}/console" in word for word in run["argv"]):
            return
        path = self.run + "/console"
        records.remove_file(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(path)
        os.chmod(path, 0o600)
        privilege.give(path, self.uid)
        self._listener.listen(4)
        self.loop.watch(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self._source(connection.detach())

    def _output(self, reader_only: bool = False) -> int:
        """The writing end of ``output``: a FIFO the hypervisor itself also holds for reading, so that writing to it
        never kills it, whatever becomes of its keeper."""
        path = self.run + "/output"
        if not os.path.exists(path):
            os.mkfifo(path, 0o600)
        self._source(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        return -1 if reader_only else os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def _source(self, descriptor: int) -> None:
        self._sources.add(descriptor)
        self.loop.watch(descriptor, lambda: self._pump_once(descriptor))

    def _pump_once(self, descriptor: int) -> None:
        self._pump(descriptor)

    def _pump(self, descriptor: int) -> bool:
        """Move one chunk into the ring; whether there was one."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._ring.write(data)
        else:
            self._drop(descriptor)
        return bool(data)

    def _drop(self, descriptor: int) -> None:
        if descriptor in self._sources:
            self._sources.remove(descriptor)
            self.loop.forget(descriptor)
            os.close(descriptor)

    # -- ending

    def stop(self, grace: float, done: Callable[[], None]) -> None:
        """SIGTERM, after ``grace`` seconds SIGKILL; ``done`` when it is gone. Back-off ends at once."""
        if self.state != "running":
            self._cancel()
            self.state = "idle"
            done()
            return
        self._waiting.append(done)
        if not self._stopping:
            self._stopping = True
            self._send(signal.SIGTERM)
            self._timer = self.loop.after(grace, self._kill)

    def _kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def _beyond_help(self, reason: str) -> None:
        """A paused, broken QEMU is dead, whatever its process says."""
        if not self._stopping and self._reason is None:
            self._reason = reason
            self._send(signal.SIGKILL)

    def _ended(self) -> None:
        end: dict[str, Any] = {"status": None, "signal": None, "reason": self._reason}
        if self._child:
            _, status = os.waitpid(self._pid, 0)
            if os.WIFSIGNALED(status):
                end["signal"] = os.WTERMSIG(status)
            else:
                end["status"] = os.WEXITSTATUS(status)
        self._drain(end)
        self._judge(end)

    def _drain(self, end: dict[str, Any]) -> None:
        """What was said last decides the verdict, so hear it before judging."""
        if self._monitor is not None:
            self._monitor.drain()
            end["reason"] = self._reason or self._monitor.reason
        if self._listener is not None:
            self._accept()
        for descriptor in list(self._sources):
            for _ in range(64):
                if not self._pump(descriptor):
                    break
        self._close()

    def _judge(self, end: dict[str, Any]) -> None:
        try:
            record = records.read_json(self.folder + "/record.json") or {}
        except wire.Problem:
            record = {}
        if self._reason is not None:
            # We killed it because its guest was dead: the signal is ours, the reason is the guest's.
            end["signal"] = None
        console = ring.clean(ring.content(self.folder, ring.TAIL_BYTES))
        rules = record.get("run", {}).get("exits", [])
        verdict, code = verdicts.judge(rules, end, console, self._stopping)
        again = not self._leaving() and verdicts.restarts(str(record.get("restart", "never")), verdict)
        self._write_end(end, verdict, code, again)
        self._after_end(again)

    def _after_end(self, again: bool) -> None:
        steady = time.monotonic() - self._since >= STEADY
        self.state = "idle"
        self._cancel()
        if again:
            self.level = 0 if steady else self.level
            self.wait()
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()

    def wait(self) -> None:
        """Start again after the back-off's pause."""
        pause = min(BACKOFF_FIRST * 2**self.level, BACKOFF_MOST)
        self.level = min(self.level + 1, 6)
        self.state = "waiting"
        self._timer = self.loop.after(pause, self._again)

    def _again(self) -> None:
        self._timer = None
        if self._leaving() or not os.path.exists(self.folder):
            self.state = "idle"
            return
        try:
            self.start()
        except wire.Problem:
            self.wait()
        except OSError:
            self.state = "idle"

    def _leaving(self) -> bool:
        return os.path.exists(self.folder + "/intent")

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        if self._listener is not None:
            self.loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for descriptor in list(self._sources):
            self._drop(descriptor)
        if self._pidfd >= 0:
            self.loop.forget(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._ring.close()

    def _write_end(self, end: dict[str, Any], verdict: str, code: int | None, again: bool) -> None:
        entry = {"format": records.FORMAT, "event": "ended", "n": self.number, "boot": records.boot_id()}
        entry.update(end, verdict=verdict, code=code, at=time.time(), restarting=again, console=ring.tail(self.folder))
        try:
            facts.append(self.folder, entry)
            facts.bound(self.folder)
        except OSError:
            # A full disk, or the folder has been retired: `alive` is free, which every reader understands.
            return

    def found(self) -> None:
        """At a keeper's start: take over, go on with a back-off, or write down an end nobody saw."""
        if locks.held(self.run + "/alive"):
            self.adopt()
            return
        last = facts.last(self.folder)
        if last is None or last.get("boot") != records.boot_id() or self._leaving():
            return
        if last.get("event") == "started":
            self.number = int(last.get("n", 0))
            unseen = {"status": None, "signal": None, "reason": facts.UNWATCHED["reason"]}
            self._write_end(unseen, "unknown", None, False)
        elif last.get("restarting"):
            self.wait()
