"""Runs the probe guest under every candidate accelerator and CPU model, and stops each as soon as it cannot win."""

from __future__ import annotations

import os
import pkgutil
import select
import signal
import subprocess
import threading
import time

from ...platform import privileges, programs
from ...storage import identifiers, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CANDIDATES = (("tcg", "max"), ("kvm", "host"), ("kvm", "max,-arch-capabilities"), ("kvm", "qemu64,+xsave"))
"""In this order; a further model of an accelerator that has worked is not tried. qemu64 lacks what xgetbv reads."""
TIME_LIMIT = 2.0
"""Seconds a candidate has."""
DONE_STATUS = 33
BROKEN_OUTPUT = (b"emulation failure", b"KVM internal error", b"KVM: entry failed", b" wrong\n")
"""What a QEMU says that will never end by itself, or a guest that counted wrong."""
OUTPUT_LIMIT = 64 << 10


class AcceleratorTrials:
    """All candidates on one host: as many at once as there are cores, each stopped when it cannot win any more."""

    def __init__(self, root: layout.StoreLayout, qemu: str):
        self.qemu = qemu
        self.uid = privileges.instance_uid(root, identifiers.run_dir_name("", "probe"))
        self.kernel = os.memfd_create("probe", 0)
        os.write(self.kernel, _probe_image())
        self.candidates = [candidate for candidate in CANDIDATES if candidate[0] != "kvm" or os.path.exists("/dev/kvm")]
        self.finished: list[AcceleratorTrial] = []
        self.lock = threading.Lock()

    def run(self) -> list[dict[str, Any]]:
        """A row per candidate that was tried, in the order of the candidates."""
        workers = [threading.Thread(target=self._work) for _ in range(min(len(self.candidates), _core_count()))]
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            self._rerun_working()
        finally:
            os.close(self.kernel)
        results = [trial.result for trial in self.finished]
        return sorted(results, key=lambda result: CANDIDATES.index((result["accel"], result["cpu"])))

    def _rerun_working(self) -> None:
        """Where several work, each counts once more, alone: a core that was shared for a moment must not decide."""
        working = [trial for trial in self.finished if trial.result["works"]]
        for trial in working if len(working) > 1 else []:
            rerun = AcceleratorTrial(self, trial.result["accel"], trial.result["cpu"])
            rerun.run()
            if rerun.result["loops_per_second"] > trial.result["loops_per_second"]:
                trial.result = rerun.result

    def _work(self) -> None:
        while True:
            candidate = self._next_candidate()
            if candidate is None:
                return
            trial = AcceleratorTrial(self, *candidate)
            trial.run()
            with self.lock:
                self.finished.append(trial)

    def _next_candidate(self) -> tuple[str, str] | None:
        with self.lock:
            working = {trial.result["accel"] for trial in self.finished if trial.result["works"]}
            self.candidates = [candidate for candidate in self.candidates if candidate[0] not in working]
            return self.candidates.pop(0) if self.candidates else None

    def losing_seconds(self) -> float:
        """Seconds of loop after which a candidate has lost against one that is done; no limit while none is."""
        with self.lock:
            times = [trial.seconds() for trial in self.finished if trial.result["works"]]
        # Twice and a little more: what shares a core with another trial is not to be judged by a hair.
        return min(times) * 2 + 0.05 if times else TIME_LIMIT


class AcceleratorTrial:
    """The probe guest under one candidate."""

    def __init__(self, trials: AcceleratorTrials, accel: str, cpu: str):
        self.trials = trials
        self.result: dict[str, Any] = {
            "accel": accel,
            "cpu": cpu,
            "works": False,
            "stage": "start",
            "loops_per_second": 0,
            "why": "",
        }
        self.output = b""
        self.loop_began = self.loop_ended = 0.0

    def seconds(self) -> float:
        """How long the guest counted."""
        return max(1e-6, self.loop_ended - self.loop_began)

    def run(self) -> None:
        """Run it to its end, or until it is clear that it will not come; ``result`` says what came of it."""
        try:
            process = self._start()
        except OSError as error:
            self.result["why"] = f"QEMU could not be started: {error.strerror}"
            return
        try:
            self._watch(process, time.monotonic() + TIME_LIMIT)
        finally:
            _end_process(process)

    def _start(self) -> subprocess.Popen[bytes]:
        uid, kernel = self.trials.uid, self.trials.kernel
        # A paused QEMU outlives us if we are killed now: `timeout` then ends it.
        timeout_argv = [programs.find_program("timeout"), "-s", "KILL", str(TIME_LIMIT + 1)]
        return subprocess.Popen(
            [*(timeout_argv if timeout_argv[0] else []), self.trials.qemu, *self._arguments(kernel)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[kernel],
            start_new_session=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            user=uid,
            group=uid,
            extra_groups=None if uid is None else privileges.extra_groups(),
        )

    def _arguments(self, kernel: int) -> list[str]:
        options = f"-nodefaults -no-user-config -no-reboot -display none -machine microvm,acpi=off -m 16 -smp 1 \
-kernel /proc/self/fd/{kernel} -serial stdio -device isa-debug-exit,iobase=0x501,iosize=4"
        return ["-accel", self.result["accel"], "-cpu", self.result["cpu"], *options.split()]

    def _watch(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        assert process.stdout is not None
        descriptor, is_open = process.stdout.fileno(), True
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        while is_open and self._is_hopeful(deadline):
            if poller.poll(5 if self.loop_began else 50):
                piece = os.read(descriptor, 4096)
                self._read(piece)
                is_open = bool(piece) and len(self.output) < OUTPUT_LIMIT
        if not is_open:
            self._judge(process.wait(timeout=TIME_LIMIT))

    def _is_hopeful(self, deadline: float) -> bool:
        """Whether waiting on makes sense; where not, ``why`` says so."""
        current_time = time.monotonic()
        if any(text in self.output for text in BROKEN_OUTPUT):
            self.result["why"] = f"stopped at {self.result['stage']}: " + self._qemu_message()
        elif current_time > deadline:
            self.result["why"] = f"hung at {self.result['stage']} for {TIME_LIMIT:.0f} s"
        elif self.loop_began and not self.loop_ended and current_time - self.loop_began > self.trials.losing_seconds():
            self.result["why"] = "slower than another accelerator"
        else:
            return True
        return False

    def _read(self, piece: bytes) -> None:
        self.output += piece
        current_time = time.monotonic()
        for line in self.output.decode("ascii", "replace").splitlines():
            stage_parts = line.partition(" ")
            if stage_parts[2].startswith("begin"):
                self.result["stage"] = stage_parts[0]
        if b"loop begin" in self.output:
            self.loop_began = self.loop_began or current_time
        if b"loop end" in self.output:
            self.loop_ended = self.loop_ended or current_time

    def _judge(self, status: int) -> None:
        if status != DONE_STATUS or b"\ndone\n" not in self.output or b" wrong\n" in self.output:
            self.result["why"] = f"ended at {self.result['stage']} with status {status}: {self._qemu_message()}"
            return
        self.result.update(works=True, stage="done", loops_per_second=round(self._loop_count() / self.seconds()))

    def _loop_count(self) -> int:
        text = self.output.partition(b"loop end ")[2].split(b"\n")[0]
        return int(text) if text.isdigit() else 0

    def _qemu_message(self) -> str:
        """The first line that is QEMU's and not the guest's, without the name of the program."""
        guest_words = {b"unictl-probe", b"begin", b"ok", b"wrong", b"absent", b"end", b"done"}
        for line in self.output.splitlines():
            if line and b"warning:" not in line and not guest_words.intersection(line.split()):
                text = line.decode("ascii", "replace")
                return (text.partition(": ")[2] if text.startswith("qemu") else text)[:200]
        return "it said nothing"


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """End QEMU through its guard, which passes SIGTERM on and reaps it; the whole group where that does not help."""
    process.terminate()
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _probe_image() -> bytes:
    """The probe guest, from beside this module: a folder or the archive the host side came in."""
    try:
        return pkgutil.get_data(__package__, "probe.elf") or b""
    except OSError:
        # Without it no candidate gets to its end, and the fallback serves.
        return b""


def _core_count() -> int:
    return max(1, len(os.sched_getaffinity(0)))
