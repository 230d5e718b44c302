"""Retires one instance: makes the intent durable, stops the process, moves the record away.

The directory of a retired instance has the launch number in its name, so nothing has to be opened to find the
highest one.
"""

from __future__ import annotations

import os
import time

from .. import errors
from ..images import image_store
from ..instances import console_log, retired_records, run_log
from ..instances.retired_records import instance_name
from ..protocol import frames
from ..storage import atomic, guarded_read, identifiers, layout
from ..supervision import supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext
    from ..storage.fenced_store import FencedStore


def retire(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Stop one instance and move its record away; what is gone already is fine."""
    owner, key = request["owner"], layout.safe_component(request["key"])
    directory = root.instance(owner, key)
    existed = os.path.isdir(directory)
    if existed:
        _write_intent(root, directory)
        _pin_images(root, owner, directory)
        supervisor.choose(root, owner).stop(key, int(request.get("grace", 10_000)))
        _move_to_retired(root, owner, key, directory)
    retired_records.prune(root, owner, instance_name(key), int(request.get("keep", 5)))
    return {"there": existed}


def _write_intent(root: FencedStore, directory: str) -> None:
    """Make the intent durable. Its being there says all, so on a full disk a link to the record does: retiring is what
    makes room."""
    if os.path.exists(directory + "/intent"):
        return
    try:
        root.write_atomic(directory + "/intent", b"stop\n")
    except errors.HostError as problem:
        if problem.kind != "no-room" or not os.path.exists(directory + "/record.json"):
            raise
        root.link(directory + "/record.json", directory + "/intent")
        atomic.sync_directory(directory)


def _pin_images(root: FencedStore, owner: str, directory: str) -> None:
    """Keep its images until an apply has ended complete: it may have to be launched anew."""
    try:
        record = guarded_read.read_json(directory + "/record.json") or {}
        for digest in record["run"].get("images", ()):
            if os.path.exists(f"{root.images}/{layout.checked_digest(digest)}"):
                image_store.pin(root, owner, digest)
    except (errors.HostError, KeyError, TypeError, AttributeError, OSError):
        # Of a damaged record nobody knows its images, and on a full disk a pin is not worth a failed retirement.
        return


def _move_to_retired(root: FencedStore, owner: str, key: str, directory: str) -> None:
    """Its end on paper, its secrets and sockets gone, its record in ``retired_records``."""
    end = run_log.end_of_entry(run_log.last_entry(directory)) or dict(
        run_log.UNOBSERVED_END, console=console_log.last_lines(directory)
    )
    try:
        root.write_atomic(directory + "/end.json", frames.encode_json(end))
    except errors.HostError as problem:
        # Without room its end stays in run-log.jsonl only.
        if problem.kind != "no-room":
            raise
    root.remove_file(directory + "/boot.cfg")
    root.remove_tree(root.run(identifiers.run_dir_name(owner, key)))
    atomic.make_dirs(root.retired(owner))
    launch = _launch_number(directory)
    root.rename(directory, f"{root.retired(owner)}/{key}.{launch}.{int(time.time() * 1000)}")
    atomic.sync_directory(root.retired(owner))
    atomic.sync_directory(root.instances(owner))


def _launch_number(directory: str) -> int:
    try:
        return int((guarded_read.read_json(directory + "/record.json") or {}).get("launch", 0))
    except (errors.HostError, ValueError, TypeError, AttributeError):
        return 0
