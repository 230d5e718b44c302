"""The start program of an instance's unit: takes the locks, chooses the accelerator, and becomes the hypervisor.

It reads what to run from the record, so booting needs no plan. It waits for temporary obstacles (a volume in use, a
full disk) and never gives up. Its own messages go to the journal.
"""

from __future__ import annotations

import errno
import os
import socket
import time

from .. import errors
from ..hypervisors import drivers
from ..instances import hypervisor_process, instance_state, record_file, run_log
from ..platform import privileges
from ..protocol import frames
from ..storage import atomic, guarded_read, identifiers, layout, locks
from ..systemd.notify import send_ready
from . import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_PAUSE = 60.0
"""Seconds between two tries at most."""
JUDGEMENT_TIMEOUT = 1.0
"""Seconds to wait for the supervisor to judge the end before this start."""
DAEMON_TIMEOUT = 5.0
"""Seconds the supervisor may take to listen."""
CONFIGURATION_EXIT = 78
"""The exit status of a start that cannot be."""
CAPABILITY_COUNT = 64
"""Numbers of capabilities, those to come among them; dropping one that is none does nothing."""


def main(store_path: str, owner: str, key: str) -> None:
    """Run one instance of a store; returns only where there is nothing to run."""
    os.umask(0o022)
    _reserve_descriptor(hypervisor_process.CONSOLE_DESCRIPTOR)
    instance_start = InstanceStart(layout.StoreLayout(store_path), owner, key)
    pause = 1.0
    while True:
        try:
            if not instance_start.should_run():
                return
            instance_start.prepare()
            break
        except (OSError, errors.HostError) as error:
            if isinstance(error, errors.HostError) and error.kind == "damaged":
                instance_start.fail_permanently(error.text)
            instance_start.report_and_wait(error, pause)
            pause = min(pause * 2, MAX_PAUSE)
    instance_start.exec_hypervisor()


class InstanceStart:
    """One start on its way."""

    def __init__(self, root: layout.StoreLayout, owner: str, key: str):
        self.root, self.owner, self.key = root, owner, key
        self.directory = root.instance(owner, key)
        self.token = identifiers.run_dir_name(owner, key)
        self.run_directory = root.run(self.token)
        self.uid = privileges.instance_uid(root, self.token)
        self.argv: list[str] = []
        self.accelerator = ""
        self.start_number = 0
        self.inherited = hypervisor_process.InheritedDescriptors()

    def should_run(self) -> bool:
        """Whether it is to run: recorded, not to be retired, not ended for good in an earlier boot, not running."""
        if not os.path.exists(self.directory + "/record.json") or os.path.exists(self.directory + "/intent"):
            return False
        last_entry = run_log.last_entry(self.directory) or {}
        has_ended = not run_log.restarts_at_boot(last_entry) and last_entry.get("boot") != identifiers.boot_id()
        return not has_ended and not locks.is_locked(self.run_directory + "/alive")

    def prepare(self) -> None:
        """Locks, command line, ears: everything that can fail, before anything is written down."""
        document = record_file.read_record(self.directory)
        if document is None:
            raise errors.HostError("not-found", f"{self.key} is not on this host", "plan again")
        run_spec = document["run"]
        hypervisor_process.make_run_dir(self.root, self.token, self.uid)
        inherited = hypervisor_process.take_locks(self.root, self.owner, run_spec, self.run_directory, self.uid)
        if inherited is None:
            raise errors.HostError("taken", f"{self.key} is being started by somebody else", "wait for it")
        self.inherited = inherited
        try:
            self.argv = hypervisor_process.start_command(self.root, self.owner, self.key, run_spec)
            driver = drivers.require_driver(run_spec)
            self.accelerator = driver.accelerator_of(self.argv)
            self._open_streams(driver, run_spec)
        except BaseException:
            inherited.close()
            raise

    def _open_streams(self, driver: drivers.Driver, run_spec: dict[str, Any]) -> None:
        self._await_judgement()
        for name in driver.RUN_FILES:
            atomic.remove_file(f"{self.run_directory}/{name}")
        atomic.remove_file(self.run_directory + instance_state.PROBLEM_FILE)
        for name in guarded_read.list_names(self.run_directory):
            if name.startswith("exit."):
                atomic.remove_file(f"{self.run_directory}/{name}")
        self.inherited.output_reader, self.inherited.output_writer = os.pipe2(os.O_CLOEXEC)
        if driver.uses_console_socket(run_spec["argv"]):
            self.inherited.console = console.bind_listener(self.run_directory + "/console")

    def _await_judgement(self) -> None:
        """The supervisor writes down how the last run ended, from facts that this start takes away."""
        deadline = time.monotonic() + JUDGEMENT_TIMEOUT
        while True:
            last_entry = run_log.last_entry(self.directory) or {}
            is_unjudged = last_entry.get("event") == "started" and last_entry.get("boot") == identifiers.boot_id()
            if not is_unjudged or time.monotonic() > deadline:
                self.start_number = int(last_entry.get("n", 0)) + 1
                return
            time.sleep(0.005)

    def report_and_wait(self, error: OSError | errors.HostError, pause: float) -> None:
        """Say why it does not start yet, to whoever asked and to the journal, then wait."""
        problem = error if isinstance(error, errors.HostError) else atomic.from_os_error(error)
        os.write(2, f"{problem.text}; trying again in {pause:.0f} s\n".encode())
        try:
            atomic.write(self.run_directory + instance_state.PROBLEM_FILE, frames.encode_json(problem.to_document()))
        except (OSError, errors.HostError):
            os.write(2, b"and that cannot be written down\n")
        time.sleep(pause)

    def exec_hypervisor(self) -> None:
        """Write down who runs, have the supervisor listen, become the hypervisor. Never returns."""
        entry = hypervisor_process.started_entry(os.getpid(), self.start_number)
        entry.update(invocation=os.environ.get("INVOCATION_ID", ""), accelerator=self.accelerator)
        if not os.access(self.argv[0], os.X_OK):
            run_log.append(self.directory, _configuration_end(entry, self._exec_failure(os.strerror(errno.ENOENT))))
            os._exit(CONFIGURATION_EXIT)
        run_log.append(self.directory, entry)
        # Open before the user changes, who may not write there; closed by the change itself.
        run_log_fd = os.open(self.directory + "/run-log.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            hypervisor_process.set_up_descriptors(self.inherited)
            self._notify_daemon()
            send_ready()
            if self.uid is None:
                _drop_capabilities()
            hypervisor_process.exec_hypervisor(self.argv, self.run_directory, self.uid)
        except OSError as error:
            frames.write_all(
                run_log_fd,
                frames.encode_json(_configuration_end(entry, self._exec_failure(str(error.strerror)))) + b"\n",
            )
        os._exit(CONFIGURATION_EXIT)

    def _notify_daemon(self) -> None:
        """Have it listen before the first step; where it does not, the guest runs unheard until it is back."""
        try:
            socket_path = self.root.run(identifiers.run_dir_name(self.owner)) + "/socket"
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
                connection.settimeout(DAEMON_TIMEOUT)
                connection.connect(socket_path)
                connection.sendall(frames.encode_json({"do": "adopt", "key": self.key}) + b"\n")
                if connection.recv(64):
                    return
        except OSError:
            pass
        if self.inherited.console >= 0:
            console.connect_once(self.run_directory + "/console")

    def _exec_failure(self, reason: str) -> str:
        return f"cannot start {self.argv[0]}: {reason}"

    def fail_permanently(self, reason: str) -> None:
        """Write down why this cannot start, whatever passes. Never returns."""
        entry = hypervisor_process.started_entry(
            os.getpid(), int((run_log.last_entry(self.directory) or {}).get("n", 0)) + 1
        )
        os.write(2, f"{reason}\n".encode())
        run_log.append(self.directory, _configuration_end(entry, reason))
        os._exit(CONFIGURATION_EXIT)


def _configuration_end(entry: dict[str, Any], reason: str) -> dict[str, Any]:
    """What cannot be executed, or whose record says something else by now, is a configuration error: written down,
    never tried again by itself."""
    end: dict[str, Any] = {"status": None, "signal": None, "reason": reason}
    end.update(event="ended", verdict="configuration", code=None, restarting=False, at=time.time(), console=[])
    return {**entry, **end}


def _reserve_descriptor(number: int) -> None:
    """Keep a descriptor's number free of what is opened from here on."""
    try:
        os.fstat(number)
    except OSError:
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if null != number:
            os.dup2(null, number, inheritable=False)
            os.close(null)


def _drop_capabilities() -> None:
    """Nothing that runs from here on can have any: what the unit leaves is for this program alone. A user of its own
    has none from the moment it is one, and no program gives it any (``NoNewPrivileges``)."""
    import ctypes

    library = ctypes.CDLL(None)
    for number in range(CAPABILITY_COUNT):
        library.prctl(24, number, 0, 0, 0)
