"""What a supervisor daemon is made of: of children of its own, or of systemd units.

A backend makes what looks after each instance, starts the ingress, and knows whether the daemon is needed although
nothing runs.
"""

from __future__ import annotations

import os

from ..ingress import haproxy_start
from ..instances import run_log
from ..storage import atomic, fenced_store, guarded_read, identifiers
from ..systemd import unit_files, units
from . import exit_sources, launchers
from .supervised_process import SupervisedProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ingress.haproxy import IngressPaths
    from ..platform.event_loop import EventLoop
    from ..storage import layout


class DetachedBackend:
    """The daemon is the parent of what it starts, and ends with the last of it."""

    def __init__(self, root: layout.StoreLayout, owner: str):
        self.root = root
        self.owner = owner

    def create_process(self, loop: EventLoop, key: str) -> SupervisedProcess:
        """What looks after an instance."""
        launcher = launchers.ForkLauncher(loop)
        return SupervisedProcess(loop, self.root, self.owner, key, launcher, exit_sources.ChildExitSource())

    def start_ingress(self, paths: IngressPaths, lock: int) -> haproxy_start.HaproxyStart:
        """Have the next HAProxy started."""
        return haproxy_start.fork(paths, lock)

    def starts_at_boot(self) -> bool:
        """Whether something may start with the host, which needs the daemon then: nothing does."""
        return False


class SystemdBackend:
    """Systemd is the parent. The daemon stays as long as an instance starts at boot: each that has not ended for good
    does."""

    def __init__(self, root: layout.StoreLayout, owner: str):
        self.root = root
        self.owner = owner

    def create_process(self, loop: EventLoop, key: str) -> SupervisedProcess:
        """What looks after an instance."""
        run_directory = self.root.run(identifiers.run_dir_name(self.owner, key))
        launcher = launchers.UnitLauncher(self.root, self.owner, key)
        exit_source = exit_sources.UnitExitSource(loop, self.root.instance(self.owner, key), run_directory)
        return SupervisedProcess(loop, self.root, self.owner, key, launcher, exit_source)

    def start_ingress(self, paths: IngressPaths, lock: int) -> haproxy_start.HaproxyStart:
        """Have systemd start the next HAProxy."""
        return _start_ingress_unit(paths, lock)

    def starts_at_boot(self) -> bool:
        """Whether an instance starts with the host, which needs the daemon then."""
        return any(map(self._instance_starts_at_boot, self.root.keys(self.owner)))

    def _instance_starts_at_boot(self, key: str) -> bool:
        unit = units.unit_name(self.root, self.owner, key)
        if not units.is_enabled(unit):
            return False
        if not run_log.restarts_at_boot(
            guarded_read.read_or_note(None, run_log.last_entry, self.root.instance(self.owner, key)) or {}
        ):
            unit_files.disable(fenced_store.unfenced(self.root), unit)
        return units.is_enabled(unit)


def _start_ingress_unit(paths: IngressPaths, lock: int) -> haproxy_start.HaproxyStart:
    """Have systemd start it by its unit: a child awaits the answer, as it would HAProxy's own start."""
    atomic.remove_file(paths.stderr)
    argv = [units.systemctl_path(), "reload-or-restart", paths.unit]
    file_actions = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1, 2)]
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"}, file_actions=file_actions)
    return haproxy_start.HaproxyStart(pid, [lock], lambda: guarded_read.read_bytes(paths.stderr) or b"")
