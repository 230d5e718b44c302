"""Changes the ingress of a fleet on this host: activates a configuration, reloads HAProxy without losing a
connection, stops it.

The text is written aside, checked, renamed, then started. Its hash is in the description of the process, so that
the file and the running process can always be compared. The control side decides what the text is.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import time

from .. import errors
from ..ingress import haproxy, ingress_ports, ingress_status
from ..platform import privileges
from ..storage import atomic, layout, locks
from ..supervision import supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..ingress.haproxy import IngressPaths
    from ..protocol.request_context import RequestContext
    from ..storage.fenced_store import FencedStore
    from ..supervision.supervisor import Supervisor

GLOBAL_PLACEHOLDER = "\n{global}\n"
MAX_CONNECTIONS = 10_000
"""Connections an ingress holds at most; fewer where the host's limit of open files is low."""
MAX_THREADS = 4
INTERIM_HASH = "interim"
"""Stands for the hash while ports are let go of: it is never what is desired, so a killed run is made good."""
KILL_TIMEOUT = 2.0
"""Seconds that one told to end by SIGKILL has."""
HARD_STOP_SECONDS = 1.5
"""Seconds HAProxy takes to end once its time to drain is over and it has cut what was left (a second, measured)."""
STOP_TIMEOUT = 0.5
"""Seconds that one without sessions needs at most to end by itself."""


def apply_config(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """Put a text in force (none: stop the ingress), then wait at most ``wait`` ms for what drains.

    ``out``: nothing is done where none of these servers stands in what is in force. ``leaves``: it only takes servers
    away, which needs no port where none runs: whoever starts it next has the new text.
    """
    paths = haproxy.IngressPaths(root, request["owner"])
    wait = float(request.get("wait") or 0) / 1000
    fleet_supervisor = supervisor.choose(root, request["owner"])
    atomic.make_dirs(os.path.dirname(paths.lock), 0o700)
    # The supervisor starts one that ended: not beside us.
    with locks.LockGuard(paths.lock):
        if request.get("out") and _lists_none(paths, request["out"]):
            return {"changed": False, "drained": True}
        if not request.get("text"):
            return _stop(fleet_supervisor, paths, wait, context)
        current, changed = _activate(fleet_supervisor, paths, request, context.lease.descriptor)
    fleet_supervisor.watch_ingress()
    return {"changed": changed, "drained": _drain(paths, current, wait, context)}


def _activate(
    fleet_supervisor: Supervisor, paths: IngressPaths, request: dict[str, Any], lease_fd: int
) -> tuple[tuple[int, str] | None, bool]:
    """(who is current now, whether anything was changed) with the text in force."""
    root = fleet_supervisor.root
    current = haproxy.current_process(paths)
    # The file is compared as well: a killed run may have left there what was never put in force.
    changed = current is None or current[1] != request["hash"] or f" {request['hash']}\n" not in paths.read_config()
    if changed and request.get("leaves") and _needs_no_start(paths, request["text"]):
        root.write_atomic(
            paths.config, _render_config(paths, request, privileges.instance_uid(root, paths.token)).encode()
        )
    elif changed:
        if not haproxy.program():
            raise errors.HostError("unsupported", ingress_status.NO_HAPROXY["text"], ingress_status.NO_HAPROXY["hint"])
        previous_text = paths.read_config()
        _prepare(root, paths, request, lease_fd)
        try:
            current = _release_moving_ports(fleet_supervisor, paths, current)
            current = _reload(fleet_supervisor, paths, request["hash"], current)
        except errors.HostError:
            _restore(fleet_supervisor, paths, previous_text)
            raise
    return current, changed


def _restore(fleet_supervisor: Supervisor, paths: IngressPaths, previous_text: str) -> None:
    """What could not be put in force claims no port: the text is what it was before."""
    root = fleet_supervisor.root
    if previous_text:
        root.write_atomic(paths.config, previous_text.encode())
        current = haproxy.current_process(paths)
        if current and current[1] == INTERIM_HASH:
            _reload(fleet_supervisor, paths, haproxy.expected_digest(paths), current)
        return
    fleet_supervisor.disable_ingress(paths)
    fleet_supervisor.forget_ingress(paths)
    _kill_unresponsive(root, paths)
    root.remove_tree(paths.run_directory)
    root.remove_atomically(paths.directory)


def _needs_no_start(paths: IngressPaths, text: str) -> bool:
    """Whether none of ours runs, and the text listens nowhere where the one in place does not."""
    pidfds = haproxy.ingress_processes(paths)
    is_running = bool(pidfds)
    haproxy.close_all(pidfds)
    return not is_running and set(ingress_ports.from_config(text)) <= set(
        ingress_ports.from_config(paths.read_config())
    )


def _lists_none(paths: IngressPaths, keys: list[str]) -> bool:
    """Whether none of these is a server of the text in place, and no other text is in force."""
    current = haproxy.current_process(paths)
    is_listed = any(f"    server {key} " in paths.read_config() for key in keys)
    return not is_listed and (current is None or current[1] == haproxy.expected_digest(paths))


def read_config(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """The text in place without its servers, and the hash it goes by: what a plan says old and new of."""
    paths = haproxy.IngressPaths(root, layout.safe_component(request["owner"]))
    lines = (line for line in paths.read_config().splitlines(True) if not line.startswith("    server "))
    return {"text": "".join(lines), "hash": haproxy.expected_digest(paths)}


def _prepare(root: FencedStore, paths: IngressPaths, request: dict[str, Any], lease_fd: int) -> None:
    """Everything before the process: text aside, checked, ports claimed, renamed into place."""
    uid = privileges.instance_uid(root, paths.token)
    for directory in (paths.directory, paths.run_directory):
        atomic.make_dirs(directory)
    atomic.write_in_place(paths.next_config, _render_config(paths, request, uid).encode())
    try:
        haproxy.check_config(paths.next_config, lease_fd)
        desired_binds = ingress_ports.from_config(request["text"])
        with locks.LockGuard(root.host_lock):
            other_ingresses = {
                owner: ingress_status.configured_ports(root, owner) for owner in root.owners() if owner != paths.owner
            }
            ingress_ports.check_claims(root, desired_binds, other_ingresses)
            ingress_ports.check_free(desired_binds, _own_sockets(paths))
            root.rename(paths.next_config, paths.config)
        atomic.sync_directory(paths.directory)
    finally:
        root.remove_file(paths.next_config)


def _render_config(paths: IngressPaths, request: dict[str, Any], uid: int | None) -> str:
    text = str(request["text"])
    if text.count(GLOBAL_PLACEHOLDER) != 1:
        raise errors.HostError(
            "failed", "the ingress text has no line {global}", "this is a fault of unictl: report it"
        )
    lines = [
        f"description unictl {paths.owner} {layout.safe_component(request['hash'])}",
        f"stats socket {paths.admin} mode 600 level admin expose-fd listeners",
        f"maxconn {_max_connections(text)}",
        f"nbthread {min(MAX_THREADS, len(os.sched_getaffinity(0)))}",
    ]
    lines += [] if uid is None else [f"uid {uid}", f"gid {uid}"]
    return text.replace(GLOBAL_PLACEHOLDER, "\n" + "".join(f"    {line}\n" for line in lines))


def _max_connections(text: str) -> int:
    """A connection takes two files; checks, listeners and HAProxy itself take some too.

    Root is held to the limit as well: it may not raise it where a container took that right away.
    """
    reserved_files = 200 + 2 * text.count("\n")
    return max(50, min(MAX_CONNECTIONS, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - reserved_files) // 2))


def _own_sockets(paths: IngressPaths) -> set[str]:
    pidfds = haproxy.ingress_processes(paths)
    try:
        return {inode for pid in pidfds for inode in ingress_ports.socket_inodes(pid)}
    finally:
        haproxy.close_all(pidfds)


def _release_moving_ports(
    fleet_supervisor: Supervisor, paths: IngressPaths, current: tuple[int, str] | None
) -> tuple[int, str] | None:
    """Let go of ports that move to another address, by a reload without them; who is current then.

    Else HAProxy would find its own old listener in the way, and have all listeners shut down to get past it; those
    handed over would stay so.
    """
    desired_text = paths.read_config()
    moving = ingress_ports.moving_binds(ingress_ports.from_config(desired_text), _own_sockets(paths)) if current else []
    if not moving:
        return current
    interim = re.sub(
        r"(?m)^(    description unictl \S+ ).*$",
        rf"\g<1>{INTERIM_HASH}",
        ingress_ports.without_binds(desired_text, moving),
    )
    root = fleet_supervisor.root
    root.write_atomic(paths.config, interim.encode())
    current = _reload(fleet_supervisor, paths, INTERIM_HASH, current)
    deadline = time.monotonic() + KILL_TIMEOUT
    while ingress_ports.moving_binds(moving, _own_sockets(paths)) and time.monotonic() < deadline:
        time.sleep(0.005)
    root.write_atomic(paths.config, desired_text.encode())
    return current


def _reload(
    fleet_supervisor: Supervisor, paths: IngressPaths, expected_hash: str, current: tuple[int, str] | None
) -> tuple[int, str]:
    """Start or reload; the (pid, hash) now in force."""
    if current is None:
        _kill_unresponsive(fleet_supervisor.root, paths)
    fleet_supervisor.start_ingress(paths, [] if current is None else [current[0]], handover=current is not None)
    running = haproxy.current_process(paths)
    if running is None or running[1] != expected_hash:
        raise errors.HostError("failed", "HAProxy started but does not answer", "run the same command again")
    return running


def _kill_unresponsive(root: FencedStore, paths: IngressPaths) -> None:
    """One of ours that runs but does not answer (hung, stopped, its socket lost) must let go of the ports."""
    pidfds = haproxy.ingress_processes(paths)
    if pidfds:
        with root.fence.enter():
            haproxy.signal_all(pidfds, signal.SIGKILL)
        haproxy.await_exit(pidfds, KILL_TIMEOUT, None)
        haproxy.close_all(pidfds)


def _drain(paths: IngressPaths, current: tuple[int, str] | None, wait: float, context: RequestContext) -> bool:
    """Wait until only the current one is left. What a killed run started beside it is told to finish, too."""
    deadline = time.monotonic() + wait + (HARD_STOP_SECONDS if wait else 0)
    while True:
        pidfds = haproxy.ingress_processes(paths)
        if current is not None and current[0] in pidfds:
            os.close(pidfds.pop(current[0]))
        if not pidfds:
            return True
        haproxy.signal_all(pidfds, signal.SIGUSR1)
        try:
            if not haproxy.await_exit(pidfds, deadline - time.monotonic(), context.cancelled):
                return False
        finally:
            haproxy.close_all(pidfds)


def _stop(fleet_supervisor: Supervisor, paths: IngressPaths, wait: float, context: RequestContext) -> dict[str, Any]:
    """Stop listening, drain, end, then remove the files: a survey between them sees ``dead`` and it is done again."""
    root = fleet_supervisor.root
    existed = os.path.isdir(paths.directory) or os.path.isdir(paths.run_directory)
    fleet_supervisor.disable_ingress(paths)
    pidfds = haproxy.ingress_processes(paths)
    existed = existed or bool(pidfds)
    with root.fence.enter():
        haproxy.signal_all(pidfds, signal.SIGUSR1)
    drained = haproxy.await_exit(pidfds, max(wait, STOP_TIMEOUT), context.cancelled)
    with root.fence.enter():
        haproxy.signal_all(pidfds, signal.SIGKILL)
    haproxy.await_exit(pidfds, KILL_TIMEOUT, None)
    haproxy.close_all(pidfds)
    fleet_supervisor.forget_ingress(paths)
    root.remove_tree(paths.run_directory)
    root.remove_atomically(paths.directory)
    return {"changed": existed, "drained": drained}
