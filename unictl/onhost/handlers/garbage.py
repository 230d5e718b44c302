"""Removes what is no longer needed: images that nothing names, retired records beyond the limit, and a destroyed
fleet.
"""

from __future__ import annotations

import os
import time

from ..images import image_store, integrity, retention
from ..instances import claims, instance_state, retired_records
from ..lease import fleet_lease
from ..storage import fleet_names, guarded_read, layout, locks
from ..systemd import unit_files, units
from . import retire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..storage.fenced_store import Writable

KEPT_AT_END = ("retired", "volumes")
LAST_WORDS = 5.0
"""Seconds that a keeper without instances may take to end."""


def collect(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Prune; with ``end`` also everything but retired records and volumes. Idempotent.

    ``images`` are those of the ``revision`` that was applied; those of the last ``keep_images`` revisions stay."""
    held = fleet_lease.require(ask, call)
    root, owner, end = held.root, ask["owner"], bool(ask.get("end"))
    if not end:
        retention.keep(
            root, owner, ask.get("revision", ""), list(ask.get("images", ())), int(ask.get("keep_images", 10))
        )
    for sha in layout.names(root.fleet(owner) + "/wanted"):
        if _is_image(f"{root.fleet(owner)}/wanted/{sha}"):
            root.remove_file(f"{root.fleet(owner)}/wanted/{sha}")
    retired = sum(
        retire.prune(root, owner, name, int(ask.get("keep_retired", 5)))
        for name in retired_records.launches(root, owner)
    )
    images = _images(root, owner if end else "")
    if end:
        _end(root, owner)
    if units.here():
        unit_files.settle(root)
    return {"images": images, "retired": retired}


def _images(root: Writable, ending: str) -> list[str]:
    """Remove what no record, no pin and no kept revision of any fleet names. Under the host's lock: no launch is
    between the two. ``ending``: the fleet whose revisions count no more.

    While something cannot be read, nobody knows what it names: nothing is removed."""
    with locks.Held(root.host_lock):
        notes: guarded_read.Notes = []
        known = claims.all_records(root, notes)
        held = [retention.images(root, owner, notes) for owner in root.owners() if owner != ending]
        pins = [guarded_read.noted(notes, layout.names, root.fleet(owner) + "/wanted") for owner in root.owners()]
        if notes:
            return []
        used = {sha for _, _, record in known for sha in record["run"].get("images", ())}
        named = used.union(*(each for each in held if each))
        named.update(*pins)
        there = [sha for sha in image_store.stored(root) if _is_image(f"{root.images}/{sha}")]
        # A damaged one is no image to go back to; whoever runs from it keeps it until it is brought anew.
        named -= set(integrity.damaged(root, there)) - used
        surplus = [sha for sha in there if sha not in named]
        for sha in surplus:
            root.remove_file(f"{root.images}/{sha}")
        for partial in os.listdir(root.images):
            sha = partial[len(".partial-") :]
            free = partial.startswith(".partial-") and sha not in named
            if free and guarded_read.noted(None, locks.held, f"{root.images}/{partial}") is False:
                root.remove_file(f"{root.images}/{partial}")
    return surplus


def _is_image(path: str) -> bool:
    """Whether it is a file that is called as images are, and as their pins."""
    return layout.is_digest(os.path.basename(path)) and guarded_read.kind(path) == "a file"


def _end(root: Writable, owner: str) -> None:
    """After destroy. A fleet that still has instances is left alone."""
    fleet = root.fleet(owner)
    if layout.names(root.instances(owner)):
        return
    # What stays of a fleet that was renamed is found again by what it is called.
    last = [] if fleet_names.called(root, owner) == owner else ["fleet.json"]
    for name in os.listdir(fleet):
        if name not in (*KEPT_AT_END, *last):
            root.remove_tree(f"{fleet}/{name}")
    for name in KEPT_AT_END:
        if not layout.names(f"{fleet}/{name}"):
            root.remove_tree(f"{fleet}/{name}")
    if os.listdir(fleet) == last:
        root.remove_tree(fleet)
    if units.here():
        unit_files.remove(root, units.name(root, owner))
    _forget_keeper(root, owner)


def _forget_keeper(root: Writable, owner: str) -> None:
    """The keeper's run folder, once it has ended with its last instance. Removed while its lock is held: whoever
    waits for the lock finds another file at the path, or none, and takes that."""
    folder = instance_state.keeper_folder(root, owner)
    deadline = time.monotonic() + LAST_WORDS
    while os.path.isdir(folder) and time.monotonic() < deadline:
        lock = locks.take(folder + "/lock")
        if lock is not None:
            root.remove_tree(folder)
            os.close(lock)
            return
        time.sleep(0.01)
