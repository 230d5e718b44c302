"""One instance as the supervisor daemon sees it: start, console, QMP monitor, exit, back-off.

A hypervisor that is already running (its daemon died) is adopted by pidfd: it is not a child, so its exit status
stays
unknown.
"""

from __future__ import annotations

import os
import signal
import time

from ..hypervisors.qemu import qmp_monitor
from ..instances import backoff, claims, exits, hypervisor_process, record_file, run_log
from ..platform import privileges, processes
from ..protocol import frames
from ..storage import layout, locks
from . import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..platform.event_loop import Loop, Timer

RETRY = 0.5
"""Seconds until a process that could not be found is looked for again."""
SOON = 0.05
"""The same where somebody waits for its end."""


class Guest:
    """``state`` is idle, running or waiting (back-off)."""

    def __init__(self, loop: Loop, root: layout.Root, owner: str, key: str):
        self.loop = loop
        self.root = root
        self.owner = owner
        self.key = key
        self.folder = root.instance(owner, key)
        self.token = layout.token(owner, key)
        self.run = root.run(self.token)
        self.uid = privileges.user(root, self.token)
        self.state = "idle"
        self.number = 0
        self.pause = 0.0
        self._child = False
        self._pid = 0
        self._pidfd = -1
        self._since = 0.0
        self._stopping = False
        self._reason: str | None = None
        self._program = ""
        self._unstarted: OSError | None = None
        self._tried: Callable[[OSError | None], None] | None = None
        self._telling = -1
        self._console = console.Console(loop, self.folder, self.run)
        self._monitor: qmp_monitor.Monitor | None = None
        self._timer: Timer | None = None
        self._waiting: list[Callable[[], None]] = []

    # -- starting

    def start(self, tried: Callable[[OSError | None], None]) -> None:
        """Run it, or take over the one that runs. ``tried`` is called once its program runs, or could not be executed;
        OSError or Problem where it does not come that far. Nothing waits here: others are being started too."""
        if self.state == "running":
            tried(None)
            return
        self._cancel()
        self._reset()
        run = self._record()["run"]
        hypervisor_process.run_folder(self.root, self.token, self.uid)
        held = hypervisor_process.lock(self.root, self.owner, run, self.run, self.uid)
        if held is None:
            self.adopt()
            tried(None)
            return
        try:
            self._start(run, held, tried)
        finally:
            held.close()

    def _start(
        self, run: dict[str, Any], held: hypervisor_process.Inherited, tried: Callable[[OSError | None], None]
    ) -> None:
        self.number = int((run_log.last(self.folder) or {}).get("n", 0)) + 1
        argv = hypervisor_process.command(self.root, self.owner, self.key, run)
        layout.remove_file(self.run + "/qmp")
        self._console = console.Console(self.loop, self.folder, self.run)
        held.reading, held.output = self._console.pipe()
        if "{console}" in run["argv"]:
            held.console = self._console.listener()
        self._pid, telling = hypervisor_process.spawn(argv, self.folder, self.run, self.number, held, self.uid)
        self._child, self._program, self._tried = True, argv[0], tried
        self._telling = telling
        self.loop.watch(telling, self._executed)
        self._watch(os.pidfd_open(self._pid), run)

    def _executed(self) -> None:
        """The child says why it could not become the hypervisor, or nothing, having become it."""
        if self._telling < 0:
            return
        told = os.read(self._telling, 64)
        self.loop.forget(self._telling)
        os.close(self._telling)
        self._telling = -1
        if told:
            self._unstarted = OSError(int(told), os.strerror(int(told)), self._program)
        if self._tried is not None:
            self._tried(self._unstarted)
            self._tried = None

    def adopt(self) -> None:
        """Take over the hypervisor that holds ``alive``; its child only where this process started it, with the code
        that it had before."""
        self._reset()
        pidfd = self._find()
        if pidfd is None:
            # It is just beginning, or just ending: look again soon, and meanwhile do not forget it.
            self.state = "waiting"
            self._timer = self.loop.after(RETRY, self.found)
            return
        self._child = processes.child(self._pid)
        run = claims.run_of(self.folder)
        self._console = console.Console(self.loop, self.folder, self.run)
        self._console.reopen(f"/proc/{self._pid}/fd/1")
        self._console.connect()
        self._watch(pidfd, run)
        self._since -= max(0.0, time.time() - float((run_log.last(self.folder) or {}).get("at", time.time())))

    def _find(self) -> int | None:
        """A pidfd of the process that holds ``alive``."""
        self._pid, ticks, self.number = hypervisor_process.found(self.folder, self.run)
        return processes.open_pidfd(self._pid, ticks) if ticks else None

    def _watch(self, pidfd: int, run: dict[str, Any]) -> None:
        self.state, self._since = "running", time.monotonic()
        self._pidfd = pidfd
        self.loop.watch(pidfd, self._ended)
        if any("{run}/qmp" in word for word in run["argv"]):
            self._monitor = qmp_monitor.Monitor(self.loop, self.run + "/qmp", self._beyond_help)

    def _reset(self) -> None:
        self._stopping, self._reason, self._unstarted = False, None, None

    def _record(self) -> dict[str, Any]:
        record = record_file.read(self.folder)
        if record is None:
            raise frames.Problem("not-found", f"{self.key} is not on this host", "plan again")
        if os.path.exists(self.folder + "/intent"):
            raise frames.Problem("failed", f"{self.key} is being retired", "run apply again: it finishes that first")
        found: dict[str, Any] = record
        return found

    # -- ending

    def stop(self, grace: float, done: Callable[[], None], looks: int = 100) -> None:
        """SIGTERM, after ``grace`` seconds SIGKILL; ``done`` when it is gone. Back-off ends at once.

        One that has just begun and was not found yet is looked for again, so many times.
        """
        if looks and self.state != "running" and locks.held(self.run + "/alive"):
            self._cancel()
            self.adopt()
            if self.state != "running":
                self._cancel()
                self._timer = self.loop.after(SOON, lambda: self.stop(grace, done, looks - 1))
                return
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
        self._finish(end)

    def _finish(self, end: dict[str, Any]) -> None:
        """Hear what is left, judge, and go on as the verdict says."""
        self._executed()
        self._drain(end)
        if self._unstarted is not None:
            self._never(f"cannot start {self._unstarted.filename}: {self._unstarted.strerror}")
        else:
            self._judge(end)

    def _never(self, reason: str) -> None:
        """What cannot be executed, or whose record says something else by now, is a configuration error: written
        down, never tried again by itself."""
        exits.write(self.folder, self.number, {"status": None, "signal": None, "reason": reason}, "configuration")
        self._after_end(False)

    def _drain(self, end: dict[str, Any]) -> None:
        """What was said last decides the verdict, so hear it before judging."""
        if self._monitor is not None:
            self._monitor.drain()
            end["reason"] = self._reason or self._monitor.reason
        self._console.drain()
        self._close()

    def _judge(self, end: dict[str, Any]) -> None:
        if self._reason is not None:
            # We killed it because its guest was dead: the signal is ours, the reason is the guest's.
            end["signal"] = None
        verdict, code, wanted = exits.judged(self.folder, end, self._stopping)
        again = wanted and not self._leaving()
        self.pause = backoff.after(self.folder, time.monotonic() - self._since)
        exits.write(self.folder, self.number, end, verdict, code, self.pause if again else None)
        self._after_end(again)

    def _after_end(self, again: bool) -> None:
        self.state = "idle"
        self._cancel()
        if again:
            self.wait(self.pause)
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()

    @property
    def settled(self) -> bool:
        """Whether all that is to be known of it stands on disk: it is neither just beginning nor being stopped."""
        return not self._stopping and self._telling < 0

    def wait(self, pause: float) -> None:
        """Start again after so many seconds."""
        self.state = "waiting"
        self._timer = self.loop.after(pause, self._again)

    def wait_longer(self) -> None:
        """A start that came to nothing is tried again after a longer pause."""
        self.pause = backoff.longer(self.pause)
        self.wait(self.pause)

    def _again(self) -> None:
        self._timer = None
        if self._leaving() or not os.path.exists(self.folder):
            self.state = "idle"
            return
        try:
            self._restart()
        except (OSError, frames.Problem) as error:
            self._close()
            if isinstance(error, frames.Problem) and error.kind == "damaged":
                self._never(error.text)
                return
            # A volume still held, a full disk: what passes. A program that cannot be executed ends otherwise.
            self.wait_longer()

    def _restart(self) -> None:
        self.start(lambda _error: None)

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
        self._console.close()
        if self._pidfd >= 0:
            self.loop.forget(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def found(self) -> None:
        """At a keeper's start: take over, go on with a back-off, or write down an end nobody saw."""
        self.state = "idle"
        if locks.held(self.run + "/alive"):
            self.adopt()
            return
        last = run_log.last(self.folder)
        if last is None or last.get("boot") != layout.boot_id() or self._leaving():
            return
        if last.get("event") == "started":
            self.number = int(last.get("n", 0))
            if processes.child(int(last.get("pid", 0))):
                # It ended while this process changed its code.
                self._pid, self._child = int(last["pid"]), True
                self._ended()
                return
            unseen = {"status": None, "signal": None, "reason": run_log.UNWATCHED["reason"]}
            exits.write(self.folder, self.number, unseen, "unknown")
        elif last.get("restarting"):
            self.pause = float(last.get("pause") or backoff.FIRST)
            self.wait(backoff.left(last))
