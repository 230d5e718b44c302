"""Unprivileged hypervisors: one numeric user per instance if the host side is root.

Not used where it cannot work: without root, in a user namespace that lacks these ids, or if the store is in a
directory that other users cannot enter.
"""

from __future__ import annotations

import os

from ..storage import guarded_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..storage import layout

FIRST_UID = 1_500_000_000
UID_COUNT = 1 << 24
CAP_NET_BIND_SERVICE = 10
"""The number of CAP_NET_BIND_SERVICE."""


def instance_uid(root: layout.StoreLayout, run_name: str) -> int | None:
    """The numeric user (and group) of the instance with that run token; None: it runs as the host side does."""
    return FIRST_UID + int(run_name[:6], 16) % UID_COUNT if not unavailable_reason(root) else None


def unavailable_reason(root: layout.StoreLayout) -> str:
    """Why hypervisors are not given a user of their own here; empty where they are."""
    if root.path not in _REASON_CACHE:
        _REASON_CACHE[root.path] = _find_reason(root)
    return _REASON_CACHE[root.path]


_REASON_CACHE: dict[str, str] = {}


def _find_reason(root: layout.StoreLayout) -> str:
    if os.geteuid() != 0:
        return "not root"
    if not _is_mapped(FIRST_UID + UID_COUNT):
        return "this user namespace has no room for a user per instance"
    path = root.path
    while path != "/":
        if os.path.isdir(path) and not os.stat(path).st_mode & 0o001:
            return f"the folder {path} is closed to other users"
        path = os.path.dirname(path)
    return ""


def extra_groups() -> list[int]:
    """Further groups a hypervisor needs: that of /dev/kvm."""
    try:
        return device_groups(os.stat("/dev/kvm"))
    except OSError:
        return []


def device_groups(device: os.stat_result) -> list[int]:
    """The group that a device lets in, if any. Never root's: what else that one may read is not a guest's to see."""
    return [device.st_gid] if device.st_gid and device.st_mode & 0o060 == 0o060 else []


def give_to_user(path: str, uid: int | None) -> None:
    """Hand a file or folder to an instance's user."""
    if uid is not None:
        os.chown(path, uid, uid, follow_symlinks=False)


def lowest_bindable_port() -> int:
    """The first port that the host side and what it starts may listen on; 0: any."""
    status = (guarded_read.read_bytes("/proc/self/status") or b"").decode("ascii", "replace")
    capabilities = int(next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0"), 16)
    lowest = int(guarded_read.read_bytes("/proc/sys/net/ipv4/ip_unprivileged_port_start") or 1024)
    return 0 if capabilities >> CAP_NET_BIND_SERVICE & 1 or lowest <= 1 else lowest


def drop_to_user(uid: int | None) -> None:
    """Become that user for good. Only ever called between fork and exec."""
    if uid is not None:
        os.setgroups(extra_groups())
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _is_mapped(last_uid: int) -> bool:
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            ranges = [[int(field) for field in line.split()] for line in file]
    except OSError:
        return True
    return any(first_uid <= FIRST_UID and last_uid < first_uid + count for first_uid, _, count in ranges)
