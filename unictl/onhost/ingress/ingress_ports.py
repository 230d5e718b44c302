"""The ports an ingress binds: parse them from its configuration, test them before HAProxy starts, name who holds a
taken one.
"""

from __future__ import annotations

import errno
import os
import re
import socket

from ..instances import claims
from ..platform import privileges, selinux
from ..platform.sockets import address
from ..protocol import frames
from ..storage import fleet_names, guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

_BIND = re.compile(r"^[ \t]+bind[ \t]+(\S+):(\d{1,5})[ \t]*$", re.MULTILINE)
_LISTENING = "0A"


def of_text(text: str) -> list[tuple[str, int]]:
    """(address, port) of every bind line; the address is empty for all."""
    return [("" if bind == "*" else bind, int(port)) for bind, port in _BIND.findall(text)]


def listening(port: int) -> set[str]:
    """Inodes of the sockets that listen on a TCP port, whatever their address."""
    return {inode for _, bound, inode in _listeners() if bound == port}


def moving(wanted: list[tuple[str, int]], own: set[str]) -> list[tuple[str, int]]:
    """What is wanted on a port that a socket of ``own`` (inodes) listens on at another address that is in its way."""
    there = [(address(where, len(where)), port) for where, port, inode in _listeners() if inode in own]
    return [
        (bind, port)
        for bind, port in wanted
        if any(port == p and (bind or "0.0.0.0") != b and _overlap(bind, b) for b, p in there)
    ]


def without(text: str, dropped: list[tuple[str, int]]) -> str:
    """The text without the bind lines of these."""
    binds = {f"bind {_where(bind, port)}" for bind, port in dropped}
    return "".join(line for line in text.splitlines(True) if line.strip() not in binds)


def inodes(pid: int) -> set[str]:
    """Inodes of the sockets a process has open; empty where that may not be seen."""
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            link = os.readlink(f"/proc/{pid}/fd/{name}")
            if link.startswith("socket:["):
                found.add(link[8:-1])
    except OSError:
        return found
    return found


def check_claims(root: layout.Root, wanted: list[tuple[str, int]], others: dict[str, list[tuple[str, int]]]) -> None:
    """A ``taken`` Problem where an instance of any fleet has recorded a port, or the ingress of another fleet is to
    listen on it (``others``: owner -> its ports); to be called under the host's lock."""
    for bind, port, holder in _claimed(root, others):
        for where, number in wanted:
            if number == port and _overlap(where, bind):
                raise _taken(where, number, holder)


def _claimed(root: layout.Root, others: dict[str, list[tuple[str, int]]]) -> Iterator[tuple[str, int, str]]:
    """(address, port, who) of every claim."""
    for owner, key, record in claims.all_records(root):
        for forward in record["run"].get("forwards", ()):
            if not forward.get("udp"):
                yield forward.get("bind", ""), int(forward["host"]), f"{key} of fleet {fleet_names.called(root, owner)}"
    for owner, places in others.items():
        for bind, port in places:
            yield bind, port, f"the ingress of fleet {fleet_names.called(root, owner)}"


def check_free(wanted: list[tuple[str, int]], own: set[str]) -> None:
    """A Problem where a port cannot be bound; what listens by a socket of ``own`` (inodes) is handed over instead.

    Asked before HAProxy is, because a HAProxy that cannot bind makes the old one stop listening while it tries again.
    """
    for bind, port in wanted:
        try:
            _try(bind, port)
        except OSError as error:
            inodes_there = listening(port)
            if error.errno != errno.EADDRINUSE or not inodes_there or inodes_there - own:
                raise _refused(bind, port, error, inodes_there - own) from error


def _try(bind: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as tried:
        # Sessions of a listener that is gone linger; only a listener is in the way. No SO_REUSEPORT: nothing is shared.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind((bind.strip("[]"), port))
        tried.listen(1)


def _refused(bind: str, port: int, error: OSError, there: set[str]) -> frames.Problem:
    where = _where(bind, port)
    if error.errno == errno.EADDRINUSE:
        return _taken(bind, port, _program(there))
    if error.errno in (errno.EACCES, errno.EPERM):
        first = privileges.lowest_port()
        if port < first:
            text = f"the ingress may not listen on {where}: ports below {first} are for root"
            return frames.Problem("unsupported", text, "set `become: true` for the host, or publish another port")
        text = f"the ingress may not listen on {where}: {error.strerror}"
        return frames.Problem("unsupported", text, selinux.hint(text, "publish another port"))
    if error.errno == errno.EADDRNOTAVAIL:
        text = f"the ingress cannot listen on {where}: this host has no such address"
        return frames.Problem("failed", text, "correct the host's `address:` in the fleet file")
    return frames.Problem("failed", f"the ingress cannot listen on {where}: {error.strerror}", errno=error.errno)


def _taken(bind: str, port: int, holder: str) -> frames.Problem:
    return frames.Problem(
        "taken",
        f"the ingress needs port {_where(bind, port)}, which is held by {holder}",
        "free it there, or publish another port",
    )


def _program(there: set[str]) -> str:
    """``nginx (pid 812)`` of who has one of these sockets open, as far as this user may look."""
    for name in os.listdir("/proc"):
        if name.isdigit() and inodes(int(name)) & there:
            try:
                with open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as file:
                    return f"{file.read().strip()} (pid {name})"
            except OSError:
                return f"pid {name}"
    return "another program of this host"


def _where(bind: str, port: int) -> str:
    return f"{bind or '*'}:{port}"


def _overlap(one: str, two: str) -> bool:
    return one == two or one in claims.WILDCARDS or two in claims.WILDCARDS


def _listeners() -> list[tuple[str, int, str]]:
    """(address as the kernel writes it, port, inode) of every listening TCP socket."""
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (guarded_read.read_bytes(path) or b"").decode().splitlines()[1:]:
            fields = line.split(None, 10)
            if fields[3] == _LISTENING:
                address, _, port = fields[1].partition(":")
                found.append((address, int(port, 16), fields[9]))
    return found
