"""The HAProxy processes of one fleet on a host: find, query, start and signal them.

The current process is the one that answers at the control socket; every other process of this fleet is draining.
All of
them share an OFD lock on ``alive``, which outlives the process that started them, and carry the path of our
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

from ..instances import instance_state
from ..platform import processes, programs, selinux
from ..protocol import frames
from ..storage import guarded_read, layout
from ..systemd import unit_files, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    import threading

    from ..storage.fenced_store import Writable

_SHARED = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
ANSWER = 2.0
"""Seconds a HAProxy has to answer at its control socket."""
SETTLE = 1.0
"""Seconds that the one before may go on answering at the control socket."""
START = 15.0
"""Seconds HAProxy has to read its configuration and bind."""


ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


_MARK = re.compile(r"^\[\w+\]\s*(\(\d+\)\s*:)?")
"""What HAProxy puts before each complaint."""


class Place:
    """Where the ingress of one fleet lies: configuration in the fleet's folder, sockets in a run folder."""

    def __init__(self, root: layout.Root, owner: str):
        self.root = root
        self.owner = owner
        self.unit = units.name(root, owner, "ingress")
        self.token = layout.token(owner, "ingress")
        self.folder = root.fleet(owner) + "/ingress"
        self.config = self.folder + "/haproxy.cfg"
        self.next = self.folder + "/haproxy.cfg.next"
        self.run = root.run(self.token)
        self.admin = self.run + "/admin"
        self.alive = self.run + "/alive"
        self.pidfile = self.run + "/pid"
        self.said = self.run + "/said"
        self.lock = instance_state.keeper_folder(root, owner) + "/ingress"

    def text(self) -> str:
        """The configuration last put in place; empty where there is none."""
        return (guarded_read.read_bytes(self.config) or b"").decode("utf-8", "replace")


def program() -> str:
    """The path of HAProxy; empty where there is none."""
    return programs.which("haproxy")


def ask(place: Place, *commands: str) -> str | None:
    """What is answered at the control socket; None where nobody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as control:
        control.settimeout(ANSWER)
        try:
            control.connect(place.admin)
            control.sendall(";".join(commands).encode() + b"\n")
            pieces = [control.recv(65536)]
            while pieces[-1]:
                pieces.append(control.recv(65536))
        except OSError:
            return None
    return b"".join(pieces).decode("utf-8", "replace")


def facts(answer: str) -> dict[str, str]:
    """The fields of ``show info``."""
    rows = (line.partition(": ") for line in answer.splitlines())
    return {name: value for name, colon, value in rows if colon}


def answer(place: Place, *commands: str) -> tuple[dict[str, str], str] | None:
    """The facts of the current HAProxy, and its whole answer to ``show info`` and these; None where there is none.

    The control socket is handed over, too: for some ms after a reload the one before may still answer at it.
    """
    deadline = time.monotonic() + SETTLE
    while True:
        said = ask(place, "show info", *commands)
        told = facts(said or "")
        if said is None or not told.get("Pid", "").isdigit():
            return None
        if not _outgoing(place, told):
            return told, said
        if time.monotonic() > deadline:
            return None
        time.sleep(0.003)


def _outgoing(place: Place, told: dict[str, str]) -> bool:
    """Whether the one that answered is on its way out: it says so, or another one was started since."""
    newest = (guarded_read.read_bytes(place.pidfile) or b"").decode("ascii", "replace").strip()
    replaced = newest.isdigit() and newest != told["Pid"] and _is_ours(newest, place)
    return replaced or told.get("Stopping", "0") != "0"


def running(place: Place) -> tuple[int, str] | None:
    """(pid, digest of its text) of the current HAProxy, or None."""
    said = answer(place)
    return None if said is None else (int(said[0]["Pid"]), digest_of(said[0]))


def digest_of(told: dict[str, str]) -> str:
    """The digest that stands last in the description we gave it."""
    words = told.get("description", "").split()
    return words[-1] if len(words) == 3 and words[0] == "unictl" else ""


def newest(place: Place) -> int:
    """A pidfd of the one started last, without asking it; of any of ours where that is not known; -1 of none."""
    pidfds = mine(place)
    told = (guarded_read.read_bytes(place.pidfile) or b"").decode("ascii", "replace").strip()
    pid = int(told) if told.isdigit() else next(iter(pidfds), 0)
    found = pidfds.pop(pid, -1)
    close(pidfds)
    return found


def wished(place: Place) -> str:
    """The digest of the text in place."""
    rows = [line.split() for line in place.text().splitlines() if line.startswith("    description ")]
    return rows[0][-1] if rows else ""


def mine(place: Place) -> dict[int, int]:
    """Every HAProxy of this ingress: pid -> pidfd, to be closed by ``close``."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and _is_ours(name, place):
            descriptor = processes.open_pidfd(int(name), processes.ticks(int(name)))
            # Asked again with the pidfd in hand: the pid may have become somebody else's meanwhile.
            if descriptor is not None and _is_ours(name, place):
                found[int(name)] = descriptor
            elif descriptor is not None:
                os.close(descriptor)
    return found


def close(pidfds: dict[int, int]) -> None:
    """Close what ``mine`` opened."""
    for descriptor in pidfds.values():
        os.close(descriptor)
    pidfds.clear()


def _is_ours(pid: str, place: Place) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"haproxy") and b"-D" in words and place.config.encode() in words


def check(path: str, lease: int | None) -> None:
    """Let HAProxy read a configuration; a Problem with its own words where it refuses."""
    # A helper holds the lease as long as it runs: that is the fence against a second writer after a kill -9.
    done = _run([program(), "-c", "-f", path], [] if lease is None else [lease])
    if done.returncode:
        why = words(done.stderr)
        raise frames.Problem(
            "unsupported",
            f"HAProxy on this host refuses the ingress configuration: {why}",
            selinux.hint(why, "unictl needs HAProxy 2.4 or later; `haproxy -v` on the host tells which one there is"),
            path=path,
        )


def start(root: Writable, place: Place, old: list[int], handover: bool) -> None:
    """Start HAProxy, detached. It takes the listeners over from the current one and tells the old ones to finish.

    Returns when it listens: HAProxy's parent ends then. One that cannot start leaves the old ones as they are.
    """
    if units.here():
        failed, said = _start_unit(root, place)
    else:
        alive = share(place.alive)
        try:
            with root.fence.passing():
                done = _run(command(place, old, handover), [alive])
        finally:
            os.close(alive)
        failed, said = bool(done.returncode), done.stderr
    if failed:
        why = words(said)
        otherwise = "the ingress is as it was before"
        raise frames.Problem("failed", f"HAProxy did not start: {why}", selinux.hint(why, otherwise))


def _start_unit(root: Writable, place: Place) -> tuple[bool, bytes]:
    """Start or reload by the unit, whose start program finds the current one itself: (failed, what was said)."""
    unit_files.ingress(root, place.owner, place.run)
    root.remove_file(place.said)
    with root.fence.passing():
        done = units.systemctl("reload-or-restart", place.unit)
    return bool(done.returncode), guarded_read.read_bytes(place.said) or done.stderr


def command(place: Place, old: list[int], handover: bool) -> list[str]:
    """The command line of the next HAProxy."""
    argv = [program(), "-D", "-f", place.config, "-p", place.pidfile]
    argv += ["-x", place.admin] if handover else []
    return argv + (["-sf", *(str(pid) for pid in old)] if old else [])


def share(path: str) -> int:
    """A share in the lock that every HAProxy of this ingress holds."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _SHARED)
    return descriptor


def _run(argv: list[str], inherited: list[int]) -> subprocess.CompletedProcess[bytes]:
    # Not by the keeper, which waits for nothing: it is spared the megabytes.
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
            timeout=START,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise frames.Problem(
            "failed", f"HAProxy did not answer within {START:.0f} s", "look at the host's load"
        ) from error
    except OSError as error:
        raise layout.problem(error, argv[0]) from error


def words(stderr: bytes) -> str:
    """HAProxy's complaints in one line, bounded."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if "[NOTICE]" not in line]
    said = [_MARK.sub("", line).strip() for line in lines if not line.rstrip().endswith("Exiting.")]
    return "; ".join(line for line in said if line)[:1000] or "it did not say why"


def tell(pidfds: dict[int, int], number: int) -> None:
    """Send a signal to each."""
    for descriptor in pidfds.values():
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            continue


def await_end(pidfds: dict[int, int], seconds: float, cancelled: threading.Event | None) -> bool:
    """Wait until all have ended; False where the time is over or the wait was cancelled. Ended ones are closed."""
    deadline = time.monotonic() + seconds
    while pidfds:
        poller = select.poll()
        for descriptor in pidfds.values():
            poller.register(descriptor, select.POLLIN)
        left = deadline - time.monotonic()
        ended = {descriptor for descriptor, _ in poller.poll(max(0, min(left, 0.1)) * 1000)}
        for pid in [pid for pid, descriptor in pidfds.items() if descriptor in ended]:
            os.close(pidfds.pop(pid))
        if pidfds and not ended and (left <= 0 or (cancelled is not None and cancelled.is_set())):
            return False
    return True
