"""What this host is: memory, CPUs, disk, hypervisor, accelerator. Writes only caches (QEMU's version, the
accelerator).
"""

from __future__ import annotations

import os
import time

from .. import errors
from ..instances import claims
from ..platform import programs
from ..protocol import frames
from ..storage import atomic, guarded_read, identifiers, layout
from ..systemd import units
from . import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_host(root: layout.StoreLayout, notes: guarded_read.Notes | None = None) -> dict[str, Any]:
    """What this machine is."""
    total, free = claims.host_memory()
    qemu = _find_qemu(root, notes)
    return {
        "id": root.host_id(),
        "boot_id": identifiers.boot_id(),
        "clock": time.time(),
        "root": root.path,
        "user": user_name(),
        "memory": total,
        "memory_free": free,
        "cpus": len(os.sched_getaffinity(0)),
        "disk_free": atomic.free_bytes(root.path),
        "supervision": "systemd" if units.available() else "detached",
        "hypervisors": {"qemu": qemu} if qemu else {},
        "accelerator": _chosen_accelerator(root, qemu),
        "lacks": capabilities.missing_capabilities(root, qemu is not None),
    }


def user_name() -> str:
    """The name of the user the host side runs as, or its number."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _find_qemu(root: layout.StoreLayout, notes: guarded_read.Notes | None) -> dict[str, Any] | None:
    """Path and version; asking QEMU costs 30 ms, so the answer is kept for that very file."""
    path = programs.find_program(*programs.QEMU_NAMES)
    if not path:
        return None
    file_stat = os.stat(path)
    file_identity = [path, file_stat.st_mtime_ns, file_stat.st_size]
    cached = guarded_read.read_or_note(notes, guarded_read.read_object, root.path + "/qemu.json") or {}
    if cached.get("file") != file_identity or not isinstance(cached.get("version"), str):
        cached = {"file": file_identity, "version": _qemu_version(path)}
        atomic.write_cache(root.path + "/qemu.json", frames.encode_json(cached))
    return {"path": path, "version": cached["version"]}


def _qemu_version(path: str) -> str:
    import subprocess

    try:
        output = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return ""
    version_parts = output.split("version ", 1)
    return version_parts[1].split()[0].rstrip(",") if len(version_parts) == 2 else ""


def _chosen_accelerator(root: layout.StoreLayout, qemu: dict[str, Any] | None) -> dict[str, Any] | None:
    if not qemu:
        return None
    try:
        from ..hypervisors.qemu import accelerator

        return accelerator.choose(root, qemu["path"])
    except errors.HostError:
        return None
