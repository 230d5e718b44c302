"""Starts and stops instances: by their systemd units where systemd supervises, else by the fleet's supervisor
daemon.

This module decides which of the two is in charge. Only the holder of a lease calls what starts a daemon.
"""

from __future__ import annotations

import os
import signal
import time

from .. import errors
from ..instances.instance_state import read_state, supervisor_alive, supervisor_dir
from ..platform import own_code, processes
from ..storage import guarded_read, identifiers, layout, locks
from ..systemd import unit_files, units
from . import daemon_client, systemd_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import FencedStore


def resume(root: FencedStore, owner: str) -> None:
    """Start a keeper where something runs, or waits to run again, without one; a unit for what has none."""
    if not units.available():
        if supervisor_alive(root, owner):
            _upgrade_daemon(root, owner)
        elif _has_ingress(root, owner) or _keys_to_resume(root, owner):
            daemon_client.connect_or_start(root, owner).close()
        return
    resumable_keys = _keys_to_resume(root, owner)
    if resumable_keys or _has_ingress(root, owner):
        _end_detached_daemon(root, owner)
        systemd_start.adopt(root, owner, resumable_keys)
        if _has_ingress(root, owner) and not units.is_written(units.unit_name(root, owner, "ingress")):
            unit_files.write_ingress(root, owner, root.run(identifiers.run_dir_name(owner, "ingress")))
        if not supervisor_alive(root, owner):
            daemon_client.connect_or_start(root, owner).close()
        elif not own_code.is_current(supervisor_dir(root, owner)):
            systemd_start.upgrade(root, owner)


def _upgrade_daemon(root: FencedStore, owner: str) -> None:
    """Have a keeper of other code become one of this, as the same process: its guests stay its children and notice
    nothing. One that is just stopping something, or too old to know how, stays as it is until it is asked again."""
    if own_code.is_current(supervisor_dir(root, owner)):
        return
    archive, code_path = daemon_client.code_location()
    argv = daemon_client.daemon_command(code_path, root.path, owner, supervisor_dir(root, owner) + "/socket")
    try:
        daemon_client.send_request(
            root,
            owner,
            {"do": "become", "archive": f"/proc/{os.getpid()}/fd/{archive}", "argv": argv},
            daemon_client.ANSWER_TIMEOUT,
        )
    except (errors.HostError, OSError):
        return
    finally:
        os.close(archive)


def _has_ingress(root: layout.StoreLayout, owner: str) -> bool:
    return os.path.exists(root.fleet(owner) + "/ingress/haproxy.cfg")


def _keys_to_resume(root: layout.StoreLayout, owner: str) -> list[str]:
    """What runs, or waits to run again."""
    states_by_key = {
        key: guarded_read.read_or_note(None, read_state, root, owner, key, False) for key in root.keys(owner)
    }
    return [
        key
        for key, state_row in states_by_key.items()
        if state_row
        and (state_row["state"] == "unsupervised" or (state_row["state"] == "ended" and state_row["end"]["restarting"]))
    ]


def _end_detached_daemon(root: FencedStore, owner: str) -> None:
    """End the keeper from before systemd supervised here: its guests run on, and the keeper's unit takes them over."""
    lock = supervisor_dir(root, owner) + "/lock"
    pid = int(guarded_read.read_bytes(lock) or 0) if locks.is_locked(lock) else 0
    is_daemon = pid and processes.has_open(str(pid), os.stat(lock))
    if not is_daemon or units.owns_process(units.unit_name(root, owner), pid):
        return
    with root.fence.enter():
        processes.send_signal(pid, processes.start_ticks(pid), signal.SIGKILL)
    deadline = time.monotonic() + daemon_client.ANSWER_TIMEOUT
    while locks.is_locked(lock):
        if time.monotonic() > deadline:
            raise daemon_client.unresponsive_error(root, owner)
        time.sleep(0.005)


def start_daemon(root: FencedStore, owner: str) -> None:
    """Have a keeper there soon, for what will be asked of it; a problem is told when it is asked."""
    try:
        daemon_client.connect_or_start(root, owner).close()
    except (errors.HostError, OSError):
        return


def start(root: FencedStore, owner: str, keys: list[str]) -> dict[str, Any]:
    """Have these started; key -> {ok, problem?}."""
    if units.available():
        _end_detached_daemon(root, owner)
        return systemd_start.start(root, owner, keys)
    outcomes: dict[str, Any] = daemon_client.send_request(root, owner, {"do": "start", "keys": keys}, 30 + len(keys))[
        "outcomes"
    ]
    return outcomes


def watch_ingress(root: FencedStore, owner: str) -> None:
    """Have the ingress looked after as it is now; no change of it fails because that cannot be."""
    try:
        daemon_client.send_request(root, owner, {"do": "ingress"}, daemon_client.ANSWER_TIMEOUT)
    except (errors.HostError, OSError):
        return


def stop(root: FencedStore, owner: str, key: str, grace: int) -> None:
    """Have it stopped, and any restart forgotten; returns when it is gone, and its unit with it."""
    if not units.available():
        _stop_process(root, owner, key, grace)
        return
    unit = units.unit_name(root, owner, key)
    unit_files.disable(root, unit)
    _stop_process(root, owner, key, grace)
    unit_files.remove(root, unit)


def _stop_process(root: FencedStore, owner: str, key: str, grace: int) -> None:
    """Without a keeper and a process: nothing."""
    alive = root.run(identifiers.run_dir_name(owner, key)) + "/alive"
    if not locks.is_locked(alive) and not supervisor_alive(root, owner):
        return
    daemon_client.send_request(
        root, owner, {"do": "stop", "key": key, "grace": grace}, grace / 1000 + daemon_client.ANSWER_TIMEOUT
    )
    deadline = time.monotonic() + daemon_client.ANSWER_TIMEOUT
    while locks.is_locked(alive):
        if time.monotonic() > deadline:
            raise errors.HostError("failed", f"{key} does not end, even by SIGKILL", "look at its process on the host")
        time.sleep(0.005)
