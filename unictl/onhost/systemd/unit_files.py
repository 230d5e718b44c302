"""Our unit files on this host and the code they run: written, enabled, disabled and removed.

The code is a zip of this package named by its digest and kept while a unit names it. A new unit needs no daemon-
reload: systemd reads it when it is first asked for. A reload is needed only if systemd may have loaded another
text.
"""

from __future__ import annotations

import os
import sys

from ..platform import own_code, privileges
from ..storage import atomic, guarded_read, identifiers, layout, locks
from . import unit_text, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import FencedStore


def store_code(root: FencedStore) -> str:
    """The path of this very code on disk, put there if need be."""
    path = _code_path(root)
    if not os.path.exists(path):
        atomic.make_dirs(_code_directory(root))
        root.write_atomic(path, own_code.compiled_zip())
    return path


def _code_path(root: layout.StoreLayout) -> str:
    return f"{_code_directory(root)}/{own_code.digest()}.zip"


def _precompile(root: layout.StoreLayout) -> None:
    """Before the host's lock is taken, which is held for milliseconds."""
    if not os.path.exists(_code_path(root)):
        own_code.compiled_zip()


def _code_directory(root: layout.StoreLayout) -> str:
    return root.path + "/code"


def write_instances(
    root: FencedStore, owner: str, instance_records: dict[str, dict[str, Any]], start_at_boot: bool = True
) -> None:
    """Units of these records (key -> record) and that of their supervisor; all durable when this returns.

    ``start_at_boot``: enabled too, else they stay as they are in that.
    """
    _precompile(root)
    with locks.LockGuard(root.host_lock):
        code_path = store_code(root)
        changed = _write_unit(root, units.unit_name(root, owner), _supervisor_text(root, owner, code_path))
        for key, record in instance_records.items():
            run_name = identifiers.run_dir_name(owner, key)
            # A unit may only write to what is there when it starts.
            root.make_dirs(root.run(run_name), 0o700)
            text = unit_text.instance_unit(
                root=root.path,
                owner=owner,
                key=key,
                record=record,
                run_directory=root.run(run_name),
                supervisor=units.unit_name(root, owner),
                interpreter=sys.executable,
                code_path=code_path,
                has_own_user=privileges.instance_uid(root, run_name) is not None,
            )
            changed = _write_unit(root, units.unit_name(root, owner, key), text) or changed
        atomic.sync_directory(units.UNIT_DIR)
        for key in instance_records if start_at_boot else ():
            enable(root, units.unit_name(root, owner, key))
        _sync_wants()
    if changed:
        units.systemctl_checked("daemon-reload")


def write_supervisor(root: FencedStore, owner: str) -> None:
    """The unit of the supervisor alone."""
    _precompile(root)
    with locks.LockGuard(root.host_lock):
        changed = _write_unit(root, units.unit_name(root, owner), _supervisor_text(root, owner, store_code(root)))
        atomic.sync_directory(units.UNIT_DIR)
    if changed:
        units.systemctl_checked("daemon-reload")


def _supervisor_text(root: layout.StoreLayout, owner: str, code_path: str) -> str:
    return unit_text.supervisor_unit(
        root=root.path,
        owner=owner,
        unit_directory=units.UNIT_DIR,
        ingress_name=units.unit_name(root, owner, "ingress"),
        interpreter=sys.executable,
        code_path=code_path,
    )


def write_ingress(root: FencedStore, owner: str, run_directory: str) -> None:
    """The unit of the fleet's ingress, enabled, and that of the supervisor."""
    unit = units.unit_name(root, owner, "ingress")
    _precompile(root)
    with locks.LockGuard(root.host_lock):
        code_path = store_code(root)
        changed = _write_unit(root, units.unit_name(root, owner), _supervisor_text(root, owner, code_path))
        text = unit_text.ingress_unit(
            root=root.path,
            owner=owner,
            run_directory=run_directory,
            supervisor=units.unit_name(root, owner),
            interpreter=sys.executable,
            code_path=code_path,
        )
        changed = _write_unit(root, unit, text) or changed
        atomic.sync_directory(units.UNIT_DIR)
        enable(root, unit)
        _sync_wants()
    if changed:
        units.systemctl_checked("daemon-reload")


def _write_unit(root: FencedStore, unit: str, text: str) -> bool:
    """Write a unit file; whether another text stood there. The folder is synced by the caller, once for many."""
    path = units.unit_path(unit)
    existing = guarded_read.read_bytes(path)
    if existing == text.encode():
        return False
    aside = f"{units.UNIT_DIR}/.new-{unit}"
    atomic.write_in_place(aside, text.encode())
    root.rename(aside, path)
    return existing is not None


def enable(root: FencedStore, unit: str) -> None:
    """Have it started at boot: the very link that ``systemctl enable`` makes."""
    atomic.make_dirs(units.WANTS_DIR, 0o755)
    try:
        root.symlink(units.unit_path(unit), f"{units.WANTS_DIR}/{unit}")
    except FileExistsError:
        return


def disable(root: FencedStore, unit: str) -> None:
    """Not at boot any more."""
    if units.is_enabled(unit):
        root.remove_file(f"{units.WANTS_DIR}/{unit}")
        _sync_wants()


def _sync_wants() -> None:
    if os.path.isdir(units.WANTS_DIR):
        atomic.sync_directory(units.WANTS_DIR)


def remove(root: FencedStore, unit: str) -> None:
    """Disable, stop, take the file away.

    What systemd still has in mind of it goes with the next ``reload_and_collect``.
    """
    disable(root, unit)
    if units.is_written(unit):
        root.write_in_place(_reload_marker(root), b"", sync=False)
        with root.fence.enter():
            units.systemctl("stop", unit)
        root.remove_file(units.unit_path(unit))
        atomic.sync_directory(units.UNIT_DIR)


def _reload_marker(root: layout.StoreLayout) -> str:
    return root.path + "/reload-owed"


def reload_and_collect(root: FencedStore) -> None:
    """One daemon-reload for all units that were removed, and away with code that no unit names."""
    if os.path.exists(_reload_marker(root)):
        units.systemctl_checked("daemon-reload")
        root.remove_file(_reload_marker(root))
    if os.path.isdir(_code_directory(root)):
        with locks.LockGuard(root.host_lock):
            _collect_code(root)


def _collect_code(root: FencedStore) -> None:
    unit_names = [name for name in guarded_read.list_names(units.UNIT_DIR) if name.startswith("unictl-")]
    texts = [(guarded_read.read_bytes(units.unit_path(name)) or b"").decode("utf-8", "replace") for name in unit_names]
    for name in os.listdir(_code_directory(root)):
        path = f"{_code_directory(root)}/{name}"
        if not any(unit_text.runs_code(text, path) for text in texts):
            root.remove_file(path)
    root.remove_if_empty(_code_directory(root))
    for name in os.listdir(units.UNIT_DIR):
        if name.startswith(".new-unictl-"):
            root.remove_file(f"{units.UNIT_DIR}/{name}")
