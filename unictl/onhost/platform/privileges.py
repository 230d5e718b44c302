"""Unprivileged hypervisors: one numeric user per instance if the host side is root.

Not used where it cannot work: without root, in a user namespace that lacks these ids, or if the store is in a
directory
that other users cannot enter.
"""

from __future__ import annotations

import os

from ..storage import guarded_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..storage import layout

FIRST = 1_500_000_000
SPAN = 1 << 24
BIND = 10
"""The number of CAP_NET_BIND_SERVICE."""


def user(root: layout.Root, token: str) -> int | None:
    """The numeric user (and group) of the instance with that run token; None: it runs as the host side does."""
    return FIRST + int(token[:6], 16) % SPAN if not why_not(root) else None


def why_not(root: layout.Root) -> str:
    """Why hypervisors are not given a user of their own here; empty where they are."""
    if root.path not in _KNOWN:
        _KNOWN[root.path] = _why_not(root)
    return _KNOWN[root.path]


_KNOWN: dict[str, str] = {}


def _why_not(root: layout.Root) -> str:
    if os.geteuid() != 0:
        return "not root"
    if not _mapped(FIRST + SPAN):
        return "this user namespace has no room for a user per instance"
    path = root.path
    while path != "/":
        if os.path.isdir(path) and not os.stat(path).st_mode & 0o001:
            return f"the folder {path} is closed to other users"
        path = os.path.dirname(path)
    return ""


def groups() -> list[int]:
    """Further groups a hypervisor needs: that of /dev/kvm."""
    try:
        return let_in(os.stat("/dev/kvm"))
    except OSError:
        return []


def let_in(device: os.stat_result) -> list[int]:
    """The group that a device lets in, if any. Never root's: what else that one may read is not a guest's to see."""
    return [device.st_gid] if device.st_gid and device.st_mode & 0o060 == 0o060 else []


def give(path: str, uid: int | None) -> None:
    """Hand a file or folder to an instance's user."""
    if uid is not None:
        os.chown(path, uid, uid, follow_symlinks=False)


def lowest_port() -> int:
    """The first port that the host side and what it starts may listen on; 0: any."""
    status = (guarded_read.read_bytes("/proc/self/status") or b"").decode("ascii", "replace")
    held = int(next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0"), 16)
    first = int(guarded_read.read_bytes("/proc/sys/net/ipv4/ip_unprivileged_port_start") or 1024)
    return 0 if held >> BIND & 1 or first <= 1 else first


def drop(uid: int | None) -> None:
    """Become that user for good. Only ever called between fork and exec."""
    if uid is not None:
        os.setgroups(groups())
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _mapped(last: int) -> bool:
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            rows = [[int(part) for part in line.split()] for line in file]
    except OSError:
        return True
    return any(inside <= FIRST and last < inside + count for inside, _, count in rows)
