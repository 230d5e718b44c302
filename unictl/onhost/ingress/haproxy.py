"""The HAProxy processes of one fleet on a host: find, query, start and signal them.

The current process is the one that answers at the control socket; every other process of this fleet is draining.
All of them share an OFD lock on ``alive``, which outlives the process that started them, and carry the path of our
configuration in their command line.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import socket
import struct
import time

from .. import errors
from ..instances import instance_state
from ..platform import processes, programs, selinux
from ..storage import atomic, guarded_read, identifiers, layout
from ..systemd import unit_files, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    import threading

    from ..storage.fenced_store import FencedStore

_SHARED_LOCK = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
ANSWER_TIMEOUT = 2.0
"""Seconds a HAProxy has to answer at its control socket."""
HANDOVER_TIMEOUT = 1.0
"""Seconds that the one before may go on answering at the control socket."""
START_TIMEOUT = 15.0
"""Seconds HAProxy has to read its configuration and bind."""


ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


_LOG_PREFIX = re.compile(r"^\[\w+\]\s*(\(\d+\)\s*:)?")
"""What HAProxy puts before each complaint."""


class IngressPaths:
    """Where the ingress of one fleet lies: configuration in the fleet's folder, sockets in a run folder."""

    def __init__(self, root: layout.StoreLayout, owner: str):
        self.root = root
        self.owner = owner
        self.unit = units.unit_name(root, owner, "ingress")
        self.token = identifiers.run_dir_name(owner, "ingress")
        self.directory = root.fleet(owner) + "/ingress"
        self.config = self.directory + "/haproxy.cfg"
        self.next_config = self.directory + "/haproxy.cfg.next"
        self.run_directory = root.run(self.token)
        self.admin = self.run_directory + "/admin"
        self.alive = self.run_directory + "/alive"
        self.pidfile = self.run_directory + "/pid"
        self.stderr = self.run_directory + "/stderr"
        self.lock = instance_state.supervisor_dir(root, owner) + "/ingress"

    def read_config(self) -> str:
        """The configuration last put in place; empty where there is none."""
        return (guarded_read.read_bytes(self.config) or b"").decode("utf-8", "replace")


def program() -> str:
    """The path of HAProxy; empty where there is none."""
    return programs.find_program("haproxy")


def query(paths: IngressPaths, *commands: str) -> str | None:
    """What is answered at the control socket; None where nobody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as control:
        control.settimeout(ANSWER_TIMEOUT)
        try:
            control.connect(paths.admin)
            control.sendall(";".join(commands).encode() + b"\n")
            pieces = [control.recv(65536)]
            while pieces[-1]:
                pieces.append(control.recv(65536))
        except OSError:
            return None
    return b"".join(pieces).decode("utf-8", "replace")


def parse_info(answer: str) -> dict[str, str]:
    """The fields of ``show info``."""
    fields = (line.partition(": ") for line in answer.splitlines())
    return {name: value for name, colon, value in fields if colon}


def query_current(paths: IngressPaths, *commands: str) -> tuple[dict[str, str], str] | None:
    """The facts of the current HAProxy, and its whole answer to ``show info`` and these; None where there is none.

    The control socket is handed over, too: for some ms after a reload the one before may still answer at it.
    """
    deadline = time.monotonic() + HANDOVER_TIMEOUT
    while True:
        reply = query(paths, "show info", *commands)
        info = parse_info(reply or "")
        if reply is None or not info.get("Pid", "").isdigit():
            return None
        if not _is_outgoing(paths, info):
            return info, reply
        if time.monotonic() > deadline:
            return None
        time.sleep(0.003)


def _is_outgoing(paths: IngressPaths, info: dict[str, str]) -> bool:
    """Whether the one that answered is on its way out: it says so, or another one was started since."""
    latest_pid = (guarded_read.read_bytes(paths.pidfile) or b"").decode("ascii", "replace").strip()
    replaced = latest_pid.isdigit() and latest_pid != info["Pid"] and _is_ours(latest_pid, paths)
    return replaced or info.get("Stopping", "0") != "0"


def current_process(paths: IngressPaths) -> tuple[int, str] | None:
    """(pid, digest of its text) of the current HAProxy, or None."""
    current = query_current(paths)
    return None if current is None else (int(current[0]["Pid"]), digest_of(current[0]))


def digest_of(info: dict[str, str]) -> str:
    """The digest that stands last in the description we gave it."""
    words = info.get("description", "").split()
    return words[-1] if len(words) == 3 and words[0] == "unictl" else ""


def latest_pidfd(paths: IngressPaths) -> int:
    """A pidfd of the one started last, without asking it; of any of ours where that is not known; -1 of none."""
    pidfds = ingress_processes(paths)
    pid_text = (guarded_read.read_bytes(paths.pidfile) or b"").decode("ascii", "replace").strip()
    pid = int(pid_text) if pid_text.isdigit() else next(iter(pidfds), 0)
    pidfd = pidfds.pop(pid, -1)
    close_all(pidfds)
    return pidfd


def expected_digest(paths: IngressPaths) -> str:
    """The digest of the text in place."""
    descriptions = [line.split() for line in paths.read_config().splitlines() if line.startswith("    description ")]
    return descriptions[0][-1] if descriptions else ""


def ingress_processes(paths: IngressPaths) -> dict[int, int]:
    """Every HAProxy of this ingress: pid -> pidfd, to be closed by ``close_all``."""
    pidfds = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and _is_ours(name, paths):
            descriptor = processes.open_pidfd(int(name), processes.start_ticks(int(name)))
            # Asked again with the pidfd in hand: the pid may have become somebody else's meanwhile.
            if descriptor is not None and _is_ours(name, paths):
                pidfds[int(name)] = descriptor
            elif descriptor is not None:
                os.close(descriptor)
    return pidfds


def close_all(pidfds: dict[int, int]) -> None:
    """Close what ``ingress_processes`` opened."""
    for descriptor in pidfds.values():
        os.close(descriptor)
    pidfds.clear()


def _is_ours(pid: str, paths: IngressPaths) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read().split(b"\0")
    except OSError:
        return False
    return arguments[0].endswith(b"haproxy") and b"-D" in arguments and paths.config.encode() in arguments


def check_config(path: str, lease_fd: int | None) -> None:
    """Let HAProxy read a configuration; a Problem with its own words where it refuses."""
    # A helper holds the lease as long as it runs: that is the fence against a second writer after a kill -9.
    completed = _run([program(), "-c", "-f", path], [] if lease_fd is None else [lease_fd])
    if completed.returncode:
        reason = complaints(completed.stderr)
        raise errors.HostError(
            "unsupported",
            f"HAProxy on this host refuses the ingress configuration: {reason}",
            selinux.denial_hint(
                reason, "unictl needs HAProxy 2.4 or later; `haproxy -v` on the host tells which one there is"
            ),
            path=path,
        )


def start(root: FencedStore, paths: IngressPaths, old_pids: list[int], handover: bool) -> None:
    """Start HAProxy, detached. It takes the listeners over from the current one and tells the old ones to finish.

    Returns when it listens: HAProxy's parent ends then. One that cannot start leaves the old ones as they are.
    """
    alive = share_lock(paths.alive)
    try:
        with root.fence.enter():
            completed = _run(command_line(paths, old_pids, handover), [alive])
    finally:
        os.close(alive)
    if completed.returncode:
        raise _start_error(completed.stderr)


def _start_error(stderr: bytes) -> errors.HostError:
    reason = complaints(stderr)
    hint = selinux.denial_hint(reason, "the ingress is as it was before")
    return errors.HostError("failed", f"HAProxy did not start: {reason}", hint)


def start_unit(root: FencedStore, paths: IngressPaths) -> None:
    """Start or reload by the unit, whose start program finds the current one itself."""
    unit_files.write_ingress(root, paths.owner, paths.run_directory)
    root.remove_file(paths.stderr)
    with root.fence.enter():
        completed = units.systemctl("reload-or-restart", paths.unit)
    if completed.returncode:
        raise _start_error(guarded_read.read_bytes(paths.stderr) or completed.stderr)


def command_line(paths: IngressPaths, old_pids: list[int], handover: bool) -> list[str]:
    """The command line of the next HAProxy."""
    argv = [program(), "-D", "-f", paths.config, "-p", paths.pidfile]
    argv += ["-x", paths.admin] if handover else []
    return argv + (["-sf", *(str(pid) for pid in old_pids)] if old_pids else [])


def share_lock(path: str) -> int:
    """A share in the lock that every HAProxy of this ingress holds."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _SHARED_LOCK)
    return descriptor


def _run(argv: list[str], inherited: list[int]) -> subprocess.CompletedProcess[bytes]:
    # Not by the supervisor, which waits for nothing: it is spared the megabytes.
    import subprocess

    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=inherited,
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            timeout=START_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise errors.HostError(
            "failed", f"HAProxy did not answer within {START_TIMEOUT:.0f} s", "look at the host's load"
        ) from error
    except OSError as error:
        raise atomic.from_os_error(error, argv[0]) from error


def complaints(stderr: bytes) -> str:
    """HAProxy's complaints in one line, bounded."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if "[NOTICE]" not in line]
    messages = [_LOG_PREFIX.sub("", line).strip() for line in lines if not line.rstrip().endswith("Exiting.")]
    return "; ".join(line for line in messages if line)[:1000] or "it did not say why"


def signal_all(pidfds: dict[int, int], signal_number: int) -> None:
    """Send a signal to each."""
    for descriptor in pidfds.values():
        try:
            signal.pidfd_send_signal(descriptor, signal_number)
        except ProcessLookupError:
            continue


def await_exit(pidfds: dict[int, int], seconds: float, cancelled: threading.Event | None) -> bool:
    """Wait until all have ended; False where the time is over or the wait was cancelled. Ended ones are closed."""
    deadline = time.monotonic() + seconds
    while pidfds:
        poller = select.poll()
        for descriptor in pidfds.values():
            poller.register(descriptor, select.POLLIN)
        remaining = deadline - time.monotonic()
        ended = {descriptor for descriptor, _ in poller.poll(max(0, min(remaining, 0.1)) * 1000)}
        for pid in [pid for pid, descriptor in pidfds.items() if descriptor in ended]:
            os.close(pidfds.pop(pid))
        if pidfds and not ended and (remaining <= 0 or (cancelled is not None and cancelled.is_set())):
            return False
    return True
