"""Removes what is no longer needed: images that nothing names, retired records beyond the limit, and a destroyed
fleet.
"""

from __future__ import annotations

import os
import time

from ..images import image_store, integrity, retention
from ..instances import claims, instance_state, retired_records
from ..storage import fleet_names, guarded_read, layout, locks
from ..supervision import supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext
    from ..storage.fenced_store import FencedStore
    from ..supervision.supervisor import Supervisor

SURVIVING_DIRECTORIES = ("retired", "volumes")
DAEMON_EXIT_TIMEOUT = 5.0
"""Seconds that a supervisor without instances may take to end."""


def collect(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Prune; with ``fleet_destroyed`` also everything but retired records and volumes. Idempotent.

    ``removed_images`` are those of the ``revision`` that was applied; those of the last ``keep_images`` revisions stay.
    """
    owner, fleet_destroyed = request["owner"], bool(request.get("end"))
    fleet_supervisor = supervisor.choose(root, owner)
    if not fleet_destroyed:
        retention.retain_revision(
            root,
            owner,
            request.get("revision", ""),
            list(request.get("images", ())),
            int(request.get("keep_images", 10)),
        )
    for digest in guarded_read.list_names(root.fleet(owner) + "/pinned-images"):
        if _is_image(f"{root.fleet(owner)}/pinned-images/{digest}"):
            root.remove_file(f"{root.fleet(owner)}/pinned-images/{digest}")
    pruned_count = sum(
        retired_records.prune(root, owner, name, int(request.get("keep_retired", 5)))
        for name in retired_records.highest_launches(root, owner)
    )
    removed_images = _remove_unused_images(root, owner if fleet_destroyed else "")
    if fleet_destroyed:
        _remove_fleet(fleet_supervisor, owner)
    fleet_supervisor.collect_garbage()
    return {"images": removed_images, "retired": pruned_count}


def _remove_unused_images(root: FencedStore, ending_owner: str) -> list[str]:
    """Remove what no record, no pin and no kept revision of any fleet names. Under the host's lock: no launch is
    between the two. ``ending_owner``: the fleet whose revisions count no more.

    While something cannot be read, nobody knows what it names: nothing is removed."""
    with locks.LockGuard(root.host_lock):
        notes: guarded_read.Notes = []
        all_records = claims.all_records(root, notes)
        retained = [retention.retained_images(root, owner, notes) for owner in root.owners() if owner != ending_owner]
        pins = [
            guarded_read.read_or_note(notes, guarded_read.list_names, root.fleet(owner) + "/pinned-images")
            for owner in root.owners()
        ]
        if notes:
            return []
        in_use = {digest for _, _, record in all_records for digest in record["run"].get("images", ())}
        referenced = in_use.union(*(digests for digests in retained if digests))
        referenced.update(*pins)
        stored_digests = [digest for digest in image_store.list_images(root) if _is_image(f"{root.images}/{digest}")]
        # A damaged one is no image to go back to; whoever runs from it keeps it until it is brought anew.
        referenced -= set(integrity.find_damaged(root, stored_digests)) - in_use
        surplus = [digest for digest in stored_digests if digest not in referenced]
        for digest in surplus:
            root.remove_file(f"{root.images}/{digest}")
        for partial in os.listdir(root.images):
            digest = partial[len(".partial-") :]
            is_unreferenced = partial.startswith(".partial-") and digest not in referenced
            if (
                is_unreferenced
                and guarded_read.read_or_note(None, locks.is_locked, f"{root.images}/{partial}") is False
            ):
                root.remove_file(f"{root.images}/{partial}")
    return surplus


def _is_image(path: str) -> bool:
    """Whether it is a file that is called as images are, and as their pins."""
    return layout.is_digest(os.path.basename(path)) and guarded_read.file_kind(path) == "a file"


def _remove_fleet(fleet_supervisor: Supervisor, owner: str) -> None:
    """After destroy. A fleet that still has instances is left alone."""
    root = fleet_supervisor.root
    fleet = root.fleet(owner)
    if guarded_read.list_names(root.instances(owner)):
        return
    # What stays of a fleet that was renamed is found again by what it is called.
    remaining_files = [] if fleet_names.current_name(root, owner) == owner else ["fleet.json"]
    for name in os.listdir(fleet):
        if name not in (*SURVIVING_DIRECTORIES, *remaining_files):
            root.remove_tree(f"{fleet}/{name}")
    for name in SURVIVING_DIRECTORIES:
        if not guarded_read.list_names(f"{fleet}/{name}"):
            root.remove_tree(f"{fleet}/{name}")
    if os.listdir(fleet) == remaining_files:
        root.remove_tree(fleet)
    fleet_supervisor.forget_daemon()
    _remove_daemon_dir(root, owner)


def _remove_daemon_dir(root: FencedStore, owner: str) -> None:
    """The supervisor's run folder, once it has ended with its last instance. Removed while its lock is held: whoever
    waits for the lock finds another file at the path, or none, and takes that."""
    directory = instance_state.supervisor_dir(root, owner)
    deadline = time.monotonic() + DAEMON_EXIT_TIMEOUT
    while os.path.isdir(directory) and time.monotonic() < deadline:
        lock = locks.take(directory + "/lock")
        if lock is not None:
            root.remove_tree(directory)
            os.close(lock)
            return
        time.sleep(0.01)
