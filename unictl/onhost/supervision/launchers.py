"""The two ways to start an instance: as a child of the supervisor daemon, or by its systemd unit.

Each is a ``Launcher`` of ``supervised_process``.
"""

from __future__ import annotations

import os

from .. import errors
from ..hypervisors import drivers
from ..instances import hypervisor_process, record_file, run_log
from ..storage import atomic, fenced_store
from ..systemd import unit_files, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..platform.event_loop import EventLoop
    from ..storage import layout
    from .supervised_process import SupervisedProcess


class ForkLauncher:
    """Starts the hypervisor as a child of this process. Nothing starts it at boot."""

    def __init__(self, loop: EventLoop):
        self._loop = loop
        self._program = ""
        self._exec_pipe = -1
        self._exec_error: OSError | None = None
        self._on_started: Callable[[OSError | None], None] | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the child has not become the hypervisor yet."""
        return self._exec_pipe >= 0

    def launch(self, process: SupervisedProcess, on_started: Callable[[OSError | None], None]) -> None:
        """Take the locks and fork; where another process has them, the instance runs and is adopted."""
        run_spec = _read_record(process)["run"]
        hypervisor_process.make_run_dir(process.root, process.token, process.uid)
        inherited = hypervisor_process.take_locks(
            process.root, process.owner, run_spec, process.run_directory, process.uid
        )
        if inherited is None:
            process.adopt()
            on_started(None)
            return
        try:
            self._fork(process, run_spec, inherited, on_started)
        finally:
            inherited.close()

    def _fork(
        self,
        process: SupervisedProcess,
        run_spec: dict[str, Any],
        inherited: hypervisor_process.InheritedDescriptors,
        on_started: Callable[[OSError | None], None],
    ) -> None:
        process.start_number = int((run_log.last_entry(process.directory) or {}).get("n", 0)) + 1
        argv = hypervisor_process.start_command(process.root, process.owner, process.key, run_spec)
        driver = drivers.require_driver(run_spec)
        for name in driver.RUN_FILES:
            atomic.remove_file(f"{process.run_directory}/{name}")
        instance_console = process.new_console()
        inherited.output_reader, inherited.output_writer = instance_console.open_pipe()
        if driver.uses_console_socket(run_spec["argv"]):
            inherited.console = instance_console.open_listener()
        pid, self._exec_pipe = hypervisor_process.spawn_process(
            argv, process.directory, process.run_directory, process.start_number, inherited, process.uid
        )
        self._program, self._on_started = argv[0], on_started
        self._loop.watch(self._exec_pipe, self._read_exec_result)
        process.watch_child(pid, run_spec)

    def _read_exec_result(self) -> None:
        """The child says why it could not become the hypervisor, or nothing, having become it."""
        if self._exec_pipe < 0:
            return
        error_text = os.read(self._exec_pipe, 64)
        self._loop.unwatch(self._exec_pipe)
        os.close(self._exec_pipe)
        self._exec_pipe = -1
        self._exec_error = None
        if error_text:
            self._exec_error = OSError(int(error_text), os.strerror(int(error_text)), self._program)
        if self._on_started is not None:
            self._on_started(self._exec_error)
            self._on_started = None

    def take_exec_error(self) -> OSError | None:
        """Why the child could not become the hypervisor."""
        self._read_exec_result()
        exec_error, self._exec_error = self._exec_error, None
        return exec_error

    def enable_at_boot(self) -> None:
        """The next apply starts the daemon, and the daemon the instance."""

    def disable_at_boot(self) -> None:
        """There is nothing to disable."""


def _read_record(process: SupervisedProcess) -> dict[str, Any]:
    document = record_file.read_record(process.directory)
    if document is None:
        raise errors.HostError("not-found", f"{process.key} is not on this host", "plan again")
    if os.path.exists(process.directory + "/intent"):
        raise errors.HostError("failed", f"{process.key} is being retired", "run apply again: it finishes that first")
    instance_record: dict[str, Any] = document
    return instance_record


class UnitLauncher:
    """Has systemd start the instance by its unit, whose start program then has it adopted."""

    is_pending = False
    """The start program answers for itself, in the run log."""

    def __init__(self, root: layout.StoreLayout, owner: str, key: str):
        self._store = fenced_store.unfenced(root)
        self._unit = units.unit_name(root, owner, key)

    def launch(self, process: SupervisedProcess, on_started: Callable[[OSError | None], None]) -> None:
        """Order the start and wait for nothing."""
        atomic.make_dirs(process.run_directory, 0o700)
        units.systemctl_checked("start", "--no-block", self._unit)
        process.await_adoption()
        on_started(None)

    def take_exec_error(self) -> OSError | None:
        """None: the start program has written it down where it could not become the hypervisor."""
        return None

    def enable_at_boot(self) -> None:
        """Systemd starts it with the host."""
        unit_files.enable(self._store, self._unit)

    def disable_at_boot(self) -> None:
        """It stays down after a boot."""
        unit_files.disable(self._store, self._unit)
