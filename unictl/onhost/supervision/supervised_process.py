"""One instance as the supervisor daemon sees it: start, console, QMP monitor, exit, back-off.

How a start is made and how an exit is learnt differ between a daemon that forks and one under systemd: both are
handed in, as a ``Launcher`` and an ``ExitSource``. Everything else is here. A hypervisor that already runs (its
daemon died, or systemd started it) is adopted by pidfd.
"""

from __future__ import annotations

import os
import signal
import time

from .. import errors
from ..hypervisors import drivers
from ..instances import backoff, claims, exits, hypervisor_process, run_log
from ..platform import privileges, processes
from ..storage import identifiers, layout, locks
from . import console, exit_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Protocol

    from ..platform.event_loop import EventLoop, Timer
    from .exit_sources import ExitFacts

    class Launcher(Protocol):
        """How an instance is started, now and at boot. One for each instance."""

        @property
        def is_pending(self) -> bool:
            """Whether a program was started of which nobody knows yet that it could be executed."""

        def launch(self, process: SupervisedProcess, on_started: Callable[[OSError | None], None]) -> None:
            """Start it, or adopt the one that runs: see ``SupervisedProcess.start``."""

        def take_exec_error(self) -> OSError | None:
            """After an exit: why the program could not be executed; None where it ran. Told once."""

        def enable_at_boot(self) -> None:
            """Have it started with the host from now on, where something can."""

        def disable_at_boot(self) -> None:
            """Not any more."""

    class ExitSource(Protocol):
        """How the exit of an instance is learnt. One for each instance."""

        def collect(self, child_pid: int, on_facts: Callable[[ExitFacts], None]) -> None:
            """Pass on how it ended, now or soon; ``child_pid`` is 0 where it was no child of this process."""

        def unseen(self, last_entry: dict[str, Any]) -> ExitFacts | None:
            """How a run ended that nobody watched, by the entry of its start; None where that is not known."""

        def is_recorded(self, start_number: int) -> bool:
            """Whether the end of that start stands in the run log already."""

        def correct(self, end: dict[str, Any], had_monitor: bool) -> None:
            """Take out of an end what is not known for sure."""

        def outside_cause(self, facts: ExitFacts, end: dict[str, Any]) -> str:
            """Who ended it from outside, where its record does not decide what follows: HOST_SHUTDOWN, UNIT_STOPPED
            or empty."""


RETRY_SECONDS = 0.5
"""Seconds until a process that could not be found is looked for again."""
STOP_RETRY_SECONDS = 0.05
"""The same where somebody waits for its end."""


class SupervisedProcess:
    """``state`` is idle, running, waiting (back-off) or requested (it was asked to start, and will be adopted)."""

    def __init__(
        self,
        loop: EventLoop,
        root: layout.StoreLayout,
        owner: str,
        key: str,
        launcher: Launcher,
        exit_source: ExitSource,
    ):
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
        self._launcher = launcher
        self._exit_source = exit_source
        self._child_pid = 0
        self._pid = 0
        self._pidfd = -1
        self._started_at = 0.0
        self._stopping = False
        self._reason: str | None = None
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
        self._launcher.launch(self, on_started)

    def new_console(self) -> console.Console:
        """The console of the run that begins."""
        self._console = console.Console(self.loop, self.directory, self.run_directory)
        return self._console

    def watch_child(self, pid: int, run_spec: dict[str, Any]) -> None:
        """Look after a child that was just started."""
        self._pid = self._child_pid = pid
        self._watch(os.pidfd_open(pid), run_spec)

    def await_adoption(self) -> None:
        """Systemd starts it; its start program has it adopted."""
        self.state = "requested"
        self._cancel_timer()

    def adopt(self) -> None:
        """Take over the hypervisor that holds ``alive``; from now on it also starts at boot."""
        if self.state == "running":
            if (run_log.last_entry(self.directory) or {}).get("pid") == self._pid:
                return
            self._close_sources()
        self._watch_running()
        if not self._is_retiring():
            self._launcher.enable_at_boot()

    def _watch_running(self) -> None:
        self._reset()
        pidfd = self._open_process()
        if pidfd is None:
            # It is just beginning, or just ending: look again soon, and meanwhile do not forget it.
            self.state = "waiting"
            self._timer = self.loop.call_later(RETRY_SECONDS, self.recover)
            return
        # A child only where this process started it, with the code that it had before.
        self._child_pid = self._pid if processes.is_child(self._pid) else 0
        run_spec = claims.run_spec(self.directory)
        instance_console = self.new_console()
        instance_console.read_from(f"/proc/{self._pid}/fd/1")
        instance_console.connect()
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
        self._stopping, self._reason = False, None

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
        self.loop.unwatch(self._pidfd)
        self._exit_source.collect(self._child_pid, self._finish)

    def _finish(self, facts: ExitFacts) -> None:
        """Hear what is left, judge, and go on as the verdict says."""
        exec_error = self._launcher.take_exec_error()
        end = self._drain(facts)
        if exec_error is not None:
            self._fail_permanently(f"cannot start {exec_error.filename}: {exec_error.strerror}")
        else:
            self._judge(facts, end)

    def _fail_permanently(self, reason: str) -> None:
        """What cannot be executed, or whose record says something else by now, is a configuration error: written
        down, never tried again by itself."""
        exits.record_exit(
            self.directory, self.start_number, {"status": None, "signal": None, "reason": reason}, "configuration"
        )
        self._after_exit(False)

    def _drain(self, facts: ExitFacts) -> dict[str, Any]:
        """The end with its reason. What was said last decides the verdict, so hear it before judging."""
        self._reason = self._reason or facts.cause
        end: dict[str, Any] = {"status": facts.status, "signal": facts.signal, "reason": self._reason}
        had_monitor = self._monitor is not None
        if self._monitor is not None:
            self._monitor.drain()
            end["reason"] = self._reason or self._monitor.reason
        self._console.drain()
        self._close_sources()
        self._exit_source.correct(end, had_monitor)
        return end

    def _judge(self, facts: ExitFacts, end: dict[str, Any]) -> None:
        if self._exit_source.is_recorded(self.start_number):
            # The start program wrote itself that it could not become the hypervisor.
            self._after_exit(False)
            return
        is_expected = self._stopping or self._is_retiring()
        outside_cause = "" if is_expected else self._exit_source.outside_cause(facts, end)
        if outside_cause == exit_sources.HOST_SHUTDOWN:
            # It starts again with the host.
            exits.record_exit(self.directory, self.start_number, dict(end, reason=outside_cause), "stopped", pause=0.0)
            self.await_adoption()
        elif outside_cause == run_log.UNIT_STOPPED:
            # By hand: it stays down until somebody starts the unit, or an apply the instance, or the host boots.
            exits.record_exit(self.directory, self.start_number, dict(end, reason=outside_cause), "killed")
            self._go_on(False)
        else:
            self._judge_by_rules(end)

    def _judge_by_rules(self, end: dict[str, Any]) -> None:
        if self._reason is not None:
            # We killed it because its guest was dead: the signal is ours, the reason is the guest's.
            end["signal"] = None
        verdict, code, restart_allowed = exits.judge_exit(self.directory, end, self._stopping)
        restarts = restart_allowed and not self._is_retiring()
        self.pause = backoff.pause_after(self.directory, time.monotonic() - self._started_at)
        exits.record_exit(self.directory, self.start_number, end, verdict, code, self.pause if restarts else None)
        self._after_exit(restarts)

    def _after_exit(self, restarts: bool) -> None:
        if not restarts:
            self._launcher.disable_at_boot()
        self._go_on(restarts)

    def _go_on(self, restarts: bool) -> None:
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
        return not self._stopping and not self._launcher.is_pending

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
            self.start(lambda _error: None)
        except (OSError, errors.HostError) as error:
            self._close_sources()
            if isinstance(error, errors.HostError) and error.kind == "damaged":
                self._fail_permanently(error.text)
                return
            # A volume still held, a full disk: what passes. A program that cannot be executed ends otherwise.
            self.retry_later()

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
        """At the daemon's start: take over, go on with a back-off, or write down an end that nobody saw."""
        self.state = "idle"
        if locks.is_locked(self.run_directory + "/alive"):
            self.adopt()
            return
        last_entry = run_log.last_entry(self.directory)
        if last_entry is None or last_entry.get("boot") != identifiers.boot_id() or self._is_retiring():
            return
        if last_entry.get("event") == "started":
            self._recover_end(last_entry)
        elif last_entry.get("restarting"):
            self.pause = float(last_entry.get("pause") or backoff.FIRST_PAUSE)
            self.restart_after(backoff.remaining_pause(last_entry))

    def _recover_end(self, last_entry: dict[str, Any]) -> None:
        self.start_number = int(last_entry.get("n", 0))
        facts = self._exit_source.unseen(last_entry)
        if facts is not None:
            self._reset()
            self._finish(facts)
            return
        unseen_end = {"status": None, "signal": None, "reason": run_log.UNOBSERVED_END["reason"]}
        exits.record_exit(self.directory, self.start_number, unseen_end, "unknown")
