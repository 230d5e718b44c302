"""One instance as the supervisor daemon sees it: start, console, QMP monitor, exit, back-off.

A hypervisor that is already running (its daemon died) is adopted by pidfd: it is not a child, so its exit status
stays unknown.
"""

from __future__ import annotations

import os
import signal
import time

from .. import errors
from ..hypervisors import drivers
from ..instances import backoff, claims, exits, hypervisor_process, record_file, run_log
from ..platform import privileges, processes
from ..storage import atomic, identifiers, layout, locks
from . import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..platform.event_loop import EventLoop, Timer

RETRY_SECONDS = 0.5
"""Seconds until a process that could not be found is looked for again."""
STOP_RETRY_SECONDS = 0.05
"""The same where somebody waits for its end."""


class SupervisedProcess:
    """``state`` is idle, running or waiting (back-off)."""

    def __init__(self, loop: EventLoop, root: layout.StoreLayout, owner: str, key: str):
        self.loop = loop
        self.root = root
        self.owner = owner
        self.key = key
        self.directory = root.instance(owner, key)
        self.token = identifiers.run_dir_name(owner, key)
        self.run_directory = root.run(self.token)
        self.uid = privileges.instance_uid(root, self.token)
        self.state = "idle"
        self.start_number = 0
        self.pause = 0.0
        self._is_child = False
        self._pid = 0
        self._pidfd = -1
        self._started_at = 0.0
        self._stopping = False
        self._reason: str | None = None
        self._program = ""
        self._exec_error: OSError | None = None
        self._on_started: Callable[[OSError | None], None] | None = None
        self._exec_pipe = -1
        self._console = console.Console(loop, self.directory, self.run_directory)
        self._monitor: drivers.Monitor | None = None
        self._timer: Timer | None = None
        self._stop_callbacks: list[Callable[[], None]] = []

    # -- starting

    def start(self, on_started: Callable[[OSError | None], None]) -> None:
        """Run it, or take over the one that runs.

        ``on_started`` is called once its program runs, or could not be executed; OSError or Problem where it does not
        come that far. Nothing waits here: others are being started too.
        """
        if self.state == "running":
            on_started(None)
            return
        self._cancel_timer()
        self._reset()
        run_spec = self._read_record()["run"]
        hypervisor_process.make_run_dir(self.root, self.token, self.uid)
        inherited = hypervisor_process.take_locks(self.root, self.owner, run_spec, self.run_directory, self.uid)
        if inherited is None:
            self.adopt()
            on_started(None)
            return
        try:
            self._launch(run_spec, inherited, on_started)
        finally:
            inherited.close()

    def _launch(
        self,
        run_spec: dict[str, Any],
        inherited: hypervisor_process.InheritedDescriptors,
        on_started: Callable[[OSError | None], None],
    ) -> None:
        self.start_number = int((run_log.last_entry(self.directory) or {}).get("n", 0)) + 1
        argv = hypervisor_process.start_command(self.root, self.owner, self.key, run_spec)
        driver = drivers.require_driver(run_spec)
        for name in driver.RUN_FILES:
            atomic.remove_file(f"{self.run_directory}/{name}")
        self._console = console.Console(self.loop, self.directory, self.run_directory)
        inherited.output_reader, inherited.output_writer = self._console.open_pipe()
        if driver.uses_console_socket(run_spec["argv"]):
            inherited.console = self._console.open_listener()
        self._pid, exec_pipe = hypervisor_process.spawn_process(
            argv, self.directory, self.run_directory, self.start_number, inherited, self.uid
        )
        self._is_child, self._program, self._on_started = True, argv[0], on_started
        self._exec_pipe = exec_pipe
        self.loop.watch(exec_pipe, self._on_exec_result)
        self._watch(os.pidfd_open(self._pid), run_spec)

    def _on_exec_result(self) -> None:
        """The child says why it could not become the hypervisor, or nothing, having become it."""
        if self._exec_pipe < 0:
            return
        error_text = os.read(self._exec_pipe, 64)
        self.loop.unwatch(self._exec_pipe)
        os.close(self._exec_pipe)
        self._exec_pipe = -1
        if error_text:
            self._exec_error = OSError(int(error_text), os.strerror(int(error_text)), self._program)
        if self._on_started is not None:
            self._on_started(self._exec_error)
            self._on_started = None

    def adopt(self) -> None:
        """Take over the hypervisor that holds ``alive``; its child only where this process started it, with the code
        that it had before."""
        self._reset()
        pidfd = self._open_process()
        if pidfd is None:
            # It is just beginning, or just ending: look again soon, and meanwhile do not forget it.
            self.state = "waiting"
            self._timer = self.loop.call_later(RETRY_SECONDS, self.recover)
            return
        self._is_child = processes.is_child(self._pid)
        run_spec = claims.run_spec(self.directory)
        self._console = console.Console(self.loop, self.directory, self.run_directory)
        self._console.read_from(f"/proc/{self._pid}/fd/1")
        self._console.connect()
        self._watch(pidfd, run_spec)
        self._started_at -= max(
            0.0, time.time() - float((run_log.last_entry(self.directory) or {}).get("at", time.time()))
        )

    def _open_process(self) -> int | None:
        """A pidfd of the process that holds ``alive``."""
        self._pid, ticks, self.start_number = hypervisor_process.find_running(self.directory, self.run_directory)
        return processes.open_pidfd(self._pid, ticks) if ticks else None

    def _watch(self, pidfd: int, run_spec: dict[str, Any]) -> None:
        self.state, self._started_at = "running", time.monotonic()
        self._pidfd = pidfd
        self.loop.watch(pidfd, self._on_exit)
        driver = drivers.driver_of(run_spec)
        if driver is not None and driver.has_monitor(run_spec["argv"]):
            self._monitor = driver.open_monitor(self.loop, self.run_directory, self._guest_is_dead)

    def _reset(self) -> None:
        self._stopping, self._reason, self._exec_error = False, None, None

    def _read_record(self) -> dict[str, Any]:
        document = record_file.read_record(self.directory)
        if document is None:
            raise errors.HostError("not-found", f"{self.key} is not on this host", "plan again")
        if os.path.exists(self.directory + "/intent"):
            raise errors.HostError("failed", f"{self.key} is being retired", "run apply again: it finishes that first")
        instance_record: dict[str, Any] = document
        return instance_record

    # -- ending

    def stop(self, grace: float, on_stopped: Callable[[], None], attempts: int = 100) -> None:
        """SIGTERM, after ``grace`` seconds SIGKILL; ``on_stopped`` when it is gone. Back-off ends at once.

        One that has just begun and was not found yet is looked for again, so many times.
        """
        if attempts and self.state != "running" and locks.is_locked(self.run_directory + "/alive"):
            self._cancel_timer()
            self.adopt()
            if self.state != "running":
                self._cancel_timer()
                self._timer = self.loop.call_later(
                    STOP_RETRY_SECONDS, lambda: self.stop(grace, on_stopped, attempts - 1)
                )
                return
        if self.state != "running":
            self._cancel_timer()
            self.state = "idle"
            on_stopped()
            return
        self._stop_callbacks.append(on_stopped)
        if not self._stopping:
            self._stopping = True
            self._send_signal(signal.SIGTERM)
            self._timer = self.loop.call_later(grace, self._kill)

    def _kill(self) -> None:
        self._send_signal(signal.SIGKILL)

    def _send_signal(self, signal_number: int) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, signal_number)
        except ProcessLookupError:
            return

    def _guest_is_dead(self, reason: str) -> None:
        """A guest that takes no step any more is dead, although its hypervisor's process lives."""
        if not self._stopping and self._reason is None:
            self._reason = reason
            self._send_signal(signal.SIGKILL)

    def _on_exit(self) -> None:
        end: dict[str, Any] = {"status": None, "signal": None, "reason": self._reason}
        if self._is_child:
            _, status = os.waitpid(self._pid, 0)
            if os.WIFSIGNALED(status):
                end["signal"] = os.WTERMSIG(status)
            else:
                end["status"] = os.WEXITSTATUS(status)
        self._finish(end)

    def _finish(self, end: dict[str, Any]) -> None:
        """Hear what is left, judge, and go on as the verdict says."""
        self._on_exec_result()
        self._drain(end)
        if self._exec_error is not None:
            self._fail_permanently(f"cannot start {self._exec_error.filename}: {self._exec_error.strerror}")
        else:
            self._judge(end)

    def _fail_permanently(self, reason: str) -> None:
        """What cannot be executed, or whose record says something else by now, is a configuration error: written
        down, never tried again by itself."""
        exits.record_exit(
            self.directory, self.start_number, {"status": None, "signal": None, "reason": reason}, "configuration"
        )
        self._after_exit(False)

    def _drain(self, end: dict[str, Any]) -> None:
        """What was said last decides the verdict, so hear it before judging."""
        if self._monitor is not None:
            self._monitor.drain()
            end["reason"] = self._reason or self._monitor.reason
        self._console.drain()
        self._close_sources()

    def _judge(self, end: dict[str, Any]) -> None:
        if self._reason is not None:
            # We killed it because its guest was dead: the signal is ours, the reason is the guest's.
            end["signal"] = None
        verdict, code, restart_allowed = exits.judge_exit(self.directory, end, self._stopping)
        restarts = restart_allowed and not self._is_retiring()
        self.pause = backoff.pause_after(self.directory, time.monotonic() - self._started_at)
        exits.record_exit(self.directory, self.start_number, end, verdict, code, self.pause if restarts else None)
        self._after_exit(restarts)

    def _after_exit(self, restarts: bool) -> None:
        self.state = "idle"
        self._cancel_timer()
        if restarts:
            self.restart_after(self.pause)
        callbacks, self._stop_callbacks = self._stop_callbacks, []
        for callback in callbacks:
            callback()

    @property
    def is_stable(self) -> bool:
        """Whether all that is to be known of it stands on disk: it is neither just beginning nor being stopped."""
        return not self._stopping and self._exec_pipe < 0

    def restart_after(self, pause: float) -> None:
        """Start again after so many seconds."""
        self.state = "waiting"
        self._timer = self.loop.call_later(pause, self._on_restart_due)

    def retry_later(self) -> None:
        """A start that came to nothing is tried again after a longer pause."""
        self.pause = backoff.next_pause(self.pause)
        self.restart_after(self.pause)

    def _on_restart_due(self) -> None:
        self._timer = None
        if self._is_retiring() or not os.path.exists(self.directory):
            self.state = "idle"
            return
        try:
            self._restart()
        except (OSError, errors.HostError) as error:
            self._close_sources()
            if isinstance(error, errors.HostError) and error.kind == "damaged":
                self._fail_permanently(error.text)
                return
            # A volume still held, a full disk: what passes. A program that cannot be executed ends otherwise.
            self.retry_later()

    def _restart(self) -> None:
        self.start(lambda _error: None)

    def _is_retiring(self) -> bool:
        return os.path.exists(self.directory + "/intent")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_sources(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        self._console.close()
        if self._pidfd >= 0:
            self.loop.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def recover(self) -> None:
        """At a keeper's start: take over, go on with a back-off, or write down an end nobody saw."""
        self.state = "idle"
        if locks.is_locked(self.run_directory + "/alive"):
            self.adopt()
            return
        last_entry = run_log.last_entry(self.directory)
        if last_entry is None or last_entry.get("boot") != identifiers.boot_id() or self._is_retiring():
            return
        if last_entry.get("event") == "started":
            self.start_number = int(last_entry.get("n", 0))
            if processes.is_child(int(last_entry.get("pid", 0))):
                # It ended while this process changed its code.
                self._pid, self._is_child = int(last_entry["pid"]), True
                self._on_exit()
                return
            unseen_end = {"status": None, "signal": None, "reason": run_log.UNOBSERVED_END["reason"]}
            exits.record_exit(self.directory, self.start_number, unseen_end, "unknown")
        elif last_entry.get("restarting"):
            self.pause = float(last_entry.get("pause") or backoff.FIRST_PAUSE)
            self.restart_after(backoff.remaining_pause(last_entry))
