"""What this host is: memory, CPUs, disk, hypervisors, accelerator. Writes only caches (a hypervisor's version, the
accelerator).
"""

from __future__ import annotations

import os
import time

from .. import errors
from ..hypervisors import drivers
from ..instances import claims
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
    hypervisors = _find_hypervisors(root, notes)
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
        "hypervisors": hypervisors,
        "accelerator": _chosen_accelerator(root, hypervisors),
        "lacks": capabilities.missing_capabilities(root, {name: row["path"] for name, row in hypervisors.items()}),
    }


def user_name() -> str:
    """The name of the user the host side runs as, or its number."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _find_hypervisors(root: layout.StoreLayout, notes: guarded_read.Notes | None) -> dict[str, dict[str, Any]]:
    """Path and version of each that is here, by name."""
    rows = {}
    for name, driver in drivers.load_all().items():
        path = driver.find_program()
        if path:
            rows[name] = {"path": path, "version": _cached_version(root, name, path, notes)}
    return rows


def _cached_version(root: layout.StoreLayout, name: str, path: str, notes: guarded_read.Notes | None) -> str:
    """Asking a hypervisor for its version starts it, so the answer is kept for that very file."""
    file_stat = os.stat(path)
    file_identity = [path, file_stat.st_mtime_ns, file_stat.st_size]
    cached = guarded_read.read_or_note(notes, guarded_read.read_object, f"{root.path}/{name}.json") or {}
    if cached.get("file") != file_identity or not isinstance(cached.get("version"), str):
        cached = {"file": file_identity, "version": drivers.load(name).read_version(path)}
        atomic.write_cache(f"{root.path}/{name}.json", frames.encode_json(cached))
    return str(cached["version"])


def _chosen_accelerator(root: layout.StoreLayout, hypervisors: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """That of the first hypervisor which has a choice."""
    for name, row in hypervisors.items():
        try:
            choice = drivers.load(name).choose_accelerator(root, row["path"])
        except errors.HostError:
            continue
        if choice is not None:
            return choice
    return None
