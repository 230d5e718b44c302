"""Our unit files on this host and the code they run: written, enabled, disabled and removed.

The code is a zip of this package named by its digest and kept while a unit names it. A new unit needs no daemon-
reload:
systemd reads it when it is first asked for. A reload is needed only if systemd may have loaded another text.
"""

from __future__ import annotations

import os
import sys

from ..platform import own_code, privileges
from ..storage import guarded_read, layout, locks
from . import unit_text, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import Writable


def code(root: Writable) -> str:
    """The path of this very code on disk, put there if need be."""
    found = _code(root)
    if not os.path.exists(found):
        layout.folders(_folder(root))
        root.write_atomic(found, own_code.compiled())
    return found


def _code(root: layout.Root) -> str:
    return f"{_folder(root)}/{own_code.digest()}.zip"


def _compile(root: layout.Root) -> None:
    """Before the host's lock is taken, which is held for milliseconds."""
    if not os.path.exists(_code(root)):
        own_code.compiled()


def _folder(root: layout.Root) -> str:
    return root.path + "/code"


def instances(root: Writable, owner: str, found: dict[str, dict[str, Any]], at_boot: bool = True) -> None:
    """Units of these records (key -> record) and that of their keeper; all durable when this returns. ``at_boot``:
    enabled too, else they stay as they are in that."""
    _compile(root)
    with locks.Held(root.host_lock):
        zipped = code(root)
        changed = _put(root, units.name(root, owner), _keeper(root, owner, zipped))
        for key, record in found.items():
            token = layout.token(owner, key)
            # A unit may only write to what is there when it starts.
            root.folders(root.run(token), 0o700)
            text = unit_text.instance(
                root=root.path,
                owner=owner,
                key=key,
                record=record,
                run=root.run(token),
                keeper=units.name(root, owner),
                python=sys.executable,
                code=zipped,
                own_user=privileges.user(root, token) is not None,
            )
            changed = _put(root, units.name(root, owner, key), text) or changed
        layout.sync_folder(units.FOLDER)
        for key in found if at_boot else ():
            enable(root, units.name(root, owner, key))
        _sync_wants()
    if changed:
        units.told_to("daemon-reload")


def keeper(root: Writable, owner: str) -> None:
    """The unit of the keeper alone."""
    _compile(root)
    with locks.Held(root.host_lock):
        changed = _put(root, units.name(root, owner), _keeper(root, owner, code(root)))
        layout.sync_folder(units.FOLDER)
    if changed:
        units.told_to("daemon-reload")


def _keeper(root: layout.Root, owner: str, zipped: str) -> str:
    return unit_text.keeper(
        root=root.path,
        owner=owner,
        units=units.FOLDER,
        ingress=units.name(root, owner, "ingress"),
        python=sys.executable,
        code=zipped,
    )


def ingress(root: Writable, owner: str, run: str) -> None:
    """The unit of the fleet's ingress, enabled, and that of the keeper."""
    unit = units.name(root, owner, "ingress")
    _compile(root)
    with locks.Held(root.host_lock):
        zipped = code(root)
        changed = _put(root, units.name(root, owner), _keeper(root, owner, zipped))
        text = unit_text.ingress(
            root=root.path,
            owner=owner,
            run=run,
            keeper=units.name(root, owner),
            python=sys.executable,
            code=zipped,
        )
        changed = _put(root, unit, text) or changed
        layout.sync_folder(units.FOLDER)
        enable(root, unit)
        _sync_wants()
    if changed:
        units.told_to("daemon-reload")


def _put(root: Writable, unit: str, text: str) -> bool:
    """Write a unit file; whether another text stood there. The folder is synced by the caller, once for many."""
    path = units.path(unit)
    there = guarded_read.read_bytes(path)
    if there == text.encode():
        return False
    aside = f"{units.FOLDER}/.new-{unit}"
    layout.write_plain(aside, text.encode())
    root.rename(aside, path)
    return there is not None


def enable(root: Writable, unit: str) -> None:
    """Have it started at boot: the very link that ``systemctl enable`` makes."""
    layout.folders(units.WANTS, 0o755)
    try:
        root.symlink(units.path(unit), f"{units.WANTS}/{unit}")
    except FileExistsError:
        return


def disable(root: Writable, unit: str) -> None:
    """Not at boot any more."""
    if units.enabled(unit):
        root.remove_file(f"{units.WANTS}/{unit}")
        _sync_wants()


def _sync_wants() -> None:
    if os.path.isdir(units.WANTS):
        layout.sync_folder(units.WANTS)


def remove(root: Writable, unit: str) -> None:
    """Disable, stop, take the file away. What systemd still has in mind of it goes with the next ``settle``."""
    disable(root, unit)
    if units.written(unit):
        root.write_plain(_owed(root), b"", sync=False)
        with root.fence.passing():
            units.systemctl("stop", unit)
        root.remove_file(units.path(unit))
        layout.sync_folder(units.FOLDER)


def _owed(root: layout.Root) -> str:
    return root.path + "/reload-owed"


def settle(root: Writable) -> None:
    """One daemon-reload for all units that were removed, and away with code that no unit names."""
    if os.path.exists(_owed(root)):
        units.told_to("daemon-reload")
        root.remove_file(_owed(root))
    if os.path.isdir(_folder(root)):
        with locks.Held(root.host_lock):
            _collect(root)


def _collect(root: Writable) -> None:
    ours = [name for name in layout.names(units.FOLDER) if name.startswith("unictl-")]
    texts = [(guarded_read.read_bytes(units.path(name)) or b"").decode("utf-8", "replace") for name in ours]
    for name in os.listdir(_folder(root)):
        path = f"{_folder(root)}/{name}"
        if not any(unit_text.runs(text, path) for text in texts):
            root.remove_file(path)
    root.remove_empty(_folder(root))
    for name in os.listdir(units.FOLDER):
        if name.startswith(".new-unictl-"):
            root.remove_file(f"{units.FOLDER}/{name}")
