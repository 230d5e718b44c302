"""The start program of an instance's unit: takes the locks, chooses the accelerator, and becomes the hypervisor.

It reads what to run from the record, so booting needs no plan. It waits for temporary obstacles (a volume in use, a
full
disk) and never gives up. Its own messages go to the journal.
"""

from __future__ import annotations

import errno
import os
import socket
import time

from ..instances import hypervisor_process, instance_state, record_file, run_log
from ..platform import privileges
from ..protocol import frames
from ..storage import layout, locks
from ..systemd.notify import ready
from . import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST = 60.0
"""Seconds between two tries at most."""
JUDGED = 1.0
"""Seconds to wait for the keeper to judge the end before this start."""
KEEPER = 5.0
"""Seconds the keeper may take to listen."""
CONFIGURATION = 78
"""The exit status of a start that cannot be."""
CAPABILITIES = 64
"""Numbers of capabilities, those to come among them; dropping one that is none does nothing."""


def main(folder: str, owner: str, key: str) -> None:
    """Run one instance of a store; returns only where there is nothing to run."""
    os.umask(0o022)
    _reserve(hypervisor_process.CONSOLE)
    start = Start(layout.Root(folder), owner, key)
    pause = 1.0
    while True:
        try:
            if not start.wanted():
                return
            start.prepare()
            break
        except (OSError, frames.Problem) as error:
            if isinstance(error, frames.Problem) and error.kind == "damaged":
                start.never(error.text)
            start.wait(error, pause)
            pause = min(pause * 2, LONGEST)
    start.become()


class Start:
    """One start on its way."""

    def __init__(self, root: layout.Root, owner: str, key: str):
        self.root, self.owner, self.key = root, owner, key
        self.folder = root.instance(owner, key)
        self.token = layout.token(owner, key)
        self.run = root.run(self.token)
        self.uid = privileges.user(root, self.token)
        self.argv: list[str] = []
        self.number = 0
        self.held = hypervisor_process.Inherited()

    def wanted(self) -> bool:
        """Whether it is to run: recorded, not to be retired, not ended for good in an earlier boot, not running."""
        if not os.path.exists(self.folder + "/record.json") or os.path.exists(self.folder + "/intent"):
            return False
        last = run_log.last(self.folder) or {}
        over = not run_log.comes_back(last) and last.get("boot") != layout.boot_id()
        return not over and not locks.held(self.run + "/alive")

    def prepare(self) -> None:
        """Locks, command line, ears: everything that can fail, before anything is written down."""
        record = record_file.read(self.folder)
        if record is None:
            raise frames.Problem("not-found", f"{self.key} is not on this host", "plan again")
        run = record["run"]
        hypervisor_process.run_folder(self.root, self.token, self.uid)
        held = hypervisor_process.lock(self.root, self.owner, run, self.run, self.uid)
        if held is None:
            raise frames.Problem("taken", f"{self.key} is being started by somebody else", "wait for it")
        self.held = held
        try:
            self.argv = hypervisor_process.command(self.root, self.owner, self.key, run)
            self._open(run)
        except BaseException:
            held.close()
            raise

    def _open(self, run: dict[str, Any]) -> None:
        self._after_judgement()
        layout.remove_file(self.run + "/qmp")
        layout.remove_file(self.run + instance_state.PROBLEM)
        for name in layout.names(self.run):
            if name.startswith("exit."):
                layout.remove_file(f"{self.run}/{name}")
        self.held.reading, self.held.output = os.pipe2(os.O_CLOEXEC)
        if "{console}" in run["argv"]:
            self.held.console = console.bound(self.run + "/console")

    def _after_judgement(self) -> None:
        """The keeper writes down how the last run ended, from facts that this start takes away."""
        deadline = time.monotonic() + JUDGED
        while True:
            last = run_log.last(self.folder) or {}
            unjudged = last.get("event") == "started" and last.get("boot") == layout.boot_id()
            if not unjudged or time.monotonic() > deadline:
                self.number = int(last.get("n", 0)) + 1
                return
            time.sleep(0.005)

    def wait(self, error: OSError | frames.Problem, pause: float) -> None:
        """Say why it does not start yet, to whoever asked and to the journal, then wait."""
        problem = error if isinstance(error, frames.Problem) else layout.problem(error)
        os.write(2, f"{problem.text}; trying again in {pause:.0f} s\n".encode())
        try:
            layout.write_atomic(self.run + instance_state.PROBLEM, frames.encode(problem.document()))
        except (OSError, frames.Problem):
            os.write(2, b"and that cannot be written down\n")
        time.sleep(pause)

    def become(self) -> None:
        """Write down who runs, have the keeper listen, become the hypervisor. Never returns."""
        entry = hypervisor_process.started(os.getpid(), self.number)
        entry.update(invocation=os.environ.get("INVOCATION_ID", ""), accelerator=_accelerator(self.argv))
        if not os.access(self.argv[0], os.X_OK):
            run_log.append(self.folder, _unstarted(entry, self._cannot(os.strerror(errno.ENOENT))))
            os._exit(CONFIGURATION)
        run_log.append(self.folder, entry)
        # Open before the user changes, who may not write there; closed by the change itself.
        ends = os.open(self.folder + "/ends.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            hypervisor_process.streams(self.held)
            self._call_keeper()
            ready()
            if self.uid is None:
                _bind_capabilities()
            hypervisor_process.change(self.argv, self.run, self.uid)
        except OSError as error:
            frames.write_all(ends, frames.encode(_unstarted(entry, self._cannot(str(error.strerror)))) + b"\n")
        os._exit(CONFIGURATION)

    def _call_keeper(self) -> None:
        """Have it listen before the first step; where it does not, the guest runs unheard until it is back."""
        try:
            path = self.root.run(layout.token(self.owner)) + "/socket"
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as keeper:
                keeper.settimeout(KEEPER)
                keeper.connect(path)
                keeper.sendall(frames.encode({"do": "adopt", "key": self.key}) + b"\n")
                if keeper.recv(64):
                    return
        except OSError:
            pass
        if self.held.console >= 0:
            console.greet(self.run + "/console")

    def _cannot(self, why: str) -> str:
        return f"cannot start {self.argv[0]}: {why}"

    def never(self, reason: str) -> None:
        """Write down why this cannot start, whatever passes. Never returns."""
        entry = hypervisor_process.started(os.getpid(), int((run_log.last(self.folder) or {}).get("n", 0)) + 1)
        os.write(2, f"{reason}\n".encode())
        run_log.append(self.folder, _unstarted(entry, reason))
        os._exit(CONFIGURATION)


def _unstarted(entry: dict[str, Any], reason: str) -> dict[str, Any]:
    """What cannot be executed, or whose record says something else by now, is a configuration error: written down,
    never tried again by itself."""
    end: dict[str, Any] = {"status": None, "signal": None, "reason": reason}
    end.update(event="ended", verdict="configuration", code=None, restarting=False, at=time.time(), console=[])
    return {**entry, **end}


def _accelerator(argv: list[str]) -> str:
    """The one that was chosen for this start; empty where a hypervisor has none."""
    return argv[argv.index("-accel") + 1] if "-accel" in argv[:-1] else ""


def _reserve(wanted: int) -> None:
    """Keep a descriptor's number free of what is opened from here on."""
    try:
        os.fstat(wanted)
    except OSError:
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if null != wanted:
            os.dup2(null, wanted, inheritable=False)
            os.close(null)


def _bind_capabilities() -> None:
    """Nothing that runs from here on can have any: what the unit leaves is for this program alone. A user of its own
    has none from the moment it is one, and no program gives it any (``NoNewPrivileges``)."""
    import ctypes

    library = ctypes.CDLL(None)
    for number in range(CAPABILITIES):
        library.prctl(24, number, 0, 0, 0)
