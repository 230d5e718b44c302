"""Supervision without systemd: the fleet's daemon is a process of our own, and the parent of what it starts."""

from __future__ import annotations

import os

from .. import errors
from ..ingress import haproxy
from ..instances.instance_state import supervisor_alive, supervisor_dir
from ..platform import own_code
from . import daemon_client, resumption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..ingress.haproxy import IngressPaths
    from ..storage.fenced_store import FencedStore


class DetachedSupervisor:
    """A ``Supervisor`` (see ``supervisor``) whose daemon is started by whoever needs it first."""

    def __init__(self, root: FencedStore, owner: str):
        self.root = root
        self.owner = owner
        self._daemon = daemon_client.DaemonClient(root, owner, daemon_client.start_detached)

    def start_daemon(self) -> None:
        """Have a daemon there soon."""
        self._daemon.wake()

    def resume(self) -> None:
        """Start a daemon where something needs one; one of other code becomes one of this."""
        if supervisor_alive(self.root, self.owner):
            self._upgrade_daemon()
        elif resumption.has_ingress(self.root, self.owner) or resumption.keys_to_resume(self.root, self.owner):
            self._daemon.connect_or_start().close()

    def _upgrade_daemon(self) -> None:
        """Have a daemon of other code become one of this, as the same process: its guests stay its children and notice
        nothing. One that is just stopping something, or too old to know how, stays as it is until it is asked again."""
        directory = supervisor_dir(self.root, self.owner)
        if own_code.is_current(directory):
            return
        archive, code_path = daemon_client.code_location()
        argv = daemon_client.daemon_command(code_path, self.root.path, self.owner, directory + "/socket")
        try:
            self._daemon.send_request(
                {"do": "become", "archive": f"/proc/{os.getpid()}/fd/{archive}", "argv": argv},
                daemon_client.ANSWER_TIMEOUT,
            )
        except (errors.HostError, OSError):
            return
        finally:
            os.close(archive)

    def start(self, keys: list[str]) -> dict[str, Any]:
        """Have the daemon start these; key -> {ok, problem?}."""
        outcomes: dict[str, Any] = self._daemon.send_request({"do": "start", "keys": keys}, 30 + len(keys))["outcomes"]
        return outcomes

    def stop(self, key: str, grace: int) -> None:
        """Have the daemon stop it, and forget any restart; returns when it is gone."""
        self._daemon.stop_process(key, grace)

    def watch_ingress(self) -> None:
        """Have the ingress looked after as it is now."""
        self._daemon.watch_ingress()

    def start_ingress(self, paths: IngressPaths, old_pids: list[int], handover: bool) -> None:
        """Start HAProxy, or its successor beside the current one; returns when it listens."""
        haproxy.start(self.root, paths, old_pids, handover)

    def disable_ingress(self, paths: IngressPaths) -> None:
        """Nothing starts it at boot."""

    def forget_ingress(self, paths: IngressPaths) -> None:
        """The daemon starts what has a configuration; there is nothing else."""

    def forget_daemon(self) -> None:
        """It ends by itself when it has nothing left to keep."""

    def collect_garbage(self) -> None:
        """Nothing is left."""
