"""The ports an ingress binds: parse them from its configuration, test them before HAProxy starts, name who holds a
taken one.
"""

from __future__ import annotations

import errno
import os
import re
import socket

from .. import errors
from ..instances import claims
from ..platform import privileges, selinux
from ..platform.sockets import parse_proc_address
from ..storage import fleet_names, guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

_BIND_LINE = re.compile(r"^[ \t]+bind[ \t]+(\S+):(\d{1,5})[ \t]*$", re.MULTILINE)
_TCP_LISTEN = "0A"


def from_config(text: str) -> list[tuple[str, int]]:
    """(address, port) of every bind line; the address is empty for all."""
    return [("" if bind == "*" else bind, int(port)) for bind, port in _BIND_LINE.findall(text)]


def listening_inodes(port: int) -> set[str]:
    """Inodes of the sockets that listen on a TCP port, whatever their address."""
    return {inode for _, bound, inode in _listeners() if bound == port}


def moving_binds(desired_binds: list[tuple[str, int]], own_inodes: set[str]) -> list[tuple[str, int]]:
    """What is wanted on a port that a socket of ``own_inodes`` (inodes) listens on at another address that is in its
    way.
    """
    existing = [
        (parse_proc_address(kernel_address, len(kernel_address)), port)
        for kernel_address, port, inode in _listeners()
        if inode in own_inodes
    ]
    return [
        (bind, port)
        for bind, port in desired_binds
        if any(
            port == existing_port and (bind or "0.0.0.0") != existing_bind and _overlap(bind, existing_bind)
            for existing_bind, existing_port in existing
        )
    ]


def without_binds(text: str, dropped_binds: list[tuple[str, int]]) -> str:
    """The text without the bind lines of these."""
    binds = {f"bind {_bind_text(bind, port)}" for bind, port in dropped_binds}
    return "".join(line for line in text.splitlines(True) if line.strip() not in binds)


def socket_inodes(pid: int) -> set[str]:
    """Inodes of the sockets a process has open; empty where that may not be seen."""
    open_inodes = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            link = os.readlink(f"/proc/{pid}/fd/{name}")
            if link.startswith("socket:["):
                open_inodes.add(link[8:-1])
    except OSError:
        return open_inodes
    return open_inodes


def check_claims(
    root: layout.StoreLayout, desired_binds: list[tuple[str, int]], other_ingresses: dict[str, list[tuple[str, int]]]
) -> None:
    """A ``taken`` Problem where an instance of any fleet has recorded a port, or the ingress of another fleet is to
    listen on it (``other_ingresses``: owner -> its ports); to be called under the host's lock."""
    for bind, port, holder in _claimed_ports(root, other_ingresses):
        for desired_bind, desired_port in desired_binds:
            if desired_port == port and _overlap(desired_bind, bind):
                raise _taken_error(desired_bind, desired_port, holder)


def _claimed_ports(
    root: layout.StoreLayout, other_ingresses: dict[str, list[tuple[str, int]]]
) -> Iterator[tuple[str, int, str]]:
    """(address, port, who) of every claim."""
    for owner, key, record in claims.all_records(root):
        for forward in record["run"].get("forwards", ()):
            if not forward.get("udp"):
                yield (
                    forward.get("bind", ""),
                    int(forward["host"]),
                    f"{key} of fleet {fleet_names.current_name(root, owner)}",
                )
    for owner, binds in other_ingresses.items():
        for bind, port in binds:
            yield bind, port, f"the ingress of fleet {fleet_names.current_name(root, owner)}"


def check_free(desired_binds: list[tuple[str, int]], own_inodes: set[str]) -> None:
    """A Problem where a port cannot be bound; what listens by a socket of ``own_inodes`` (inodes) is handed over
    instead.

    Asked before HAProxy is, because a HAProxy that cannot bind makes the old one stop listening while it tries again.
    """
    for bind, port in desired_binds:
        try:
            _try_bind(bind, port)
        except OSError as error:
            holder_inodes = listening_inodes(port)
            if error.errno != errno.EADDRINUSE or not holder_inodes or holder_inodes - own_inodes:
                raise _bind_error(bind, port, error, holder_inodes - own_inodes) from error


def _try_bind(bind: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as trial_socket:
        # Sessions of a listener that is gone linger; only a listener is in the way. No SO_REUSEPORT: nothing is shared.
        trial_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial_socket.bind((bind.strip("[]"), port))
        trial_socket.listen(1)


def _bind_error(bind: str, port: int, error: OSError, holder_inodes: set[str]) -> errors.HostError:
    bind_text = _bind_text(bind, port)
    if error.errno == errno.EADDRINUSE:
        return _taken_error(bind, port, _program_holding(holder_inodes))
    if error.errno in (errno.EACCES, errno.EPERM):
        first_port = privileges.lowest_bindable_port()
        if port < first_port:
            text = f"the ingress may not listen on {bind_text}: ports below {first_port} are for root"
            return errors.HostError("unsupported", text, "set `become: true` for the host, or publish another port")
        text = f"the ingress may not listen on {bind_text}: {error.strerror}"
        return errors.HostError("unsupported", text, selinux.denial_hint(text, "publish another port"))
    if error.errno == errno.EADDRNOTAVAIL:
        text = f"the ingress cannot listen on {bind_text}: this host has no such address"
        return errors.HostError("failed", text, "correct the host's `address:` in the fleet file")
    return errors.HostError("failed", f"the ingress cannot listen on {bind_text}: {error.strerror}", errno=error.errno)


def _taken_error(bind: str, port: int, holder: str) -> errors.HostError:
    return errors.HostError(
        "taken",
        f"the ingress needs port {_bind_text(bind, port)}, which is held by {holder}",
        "free it there, or publish another port",
    )


def _program_holding(holder_inodes: set[str]) -> str:
    """``nginx (pid 812)`` of who has one of these sockets open, as far as this user may look."""
    for pid in os.listdir("/proc"):
        if pid.isdigit() and socket_inodes(int(pid)) & holder_inodes:
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    return f"{file.read().strip()} (pid {pid})"
            except OSError:
                return f"pid {pid}"
    return "another program of this host"


def _bind_text(bind: str, port: int) -> str:
    return f"{bind or '*'}:{port}"


def _overlap(first: str, second: str) -> bool:
    return first == second or first in claims.WILDCARDS or second in claims.WILDCARDS


def _listeners() -> list[tuple[str, int, str]]:
    """(address as the kernel writes it, port, inode) of every listening TCP socket."""
    listeners = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (guarded_read.read_bytes(path) or b"").decode().splitlines()[1:]:
            fields = line.split(None, 10)
            if fields[3] == _TCP_LISTEN:
                address, _, port = fields[1].partition(":")
                listeners.append((address, int(port, 16), fields[9]))
    return listeners
