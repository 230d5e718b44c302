"""The console text of an instance, live or retired, to the end or followed. Always cleaned: guests are hostile."""

from __future__ import annotations

import os

from .. import errors
from ..instances import console_log, retired_records
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext

POLL_INTERVAL = 0.1
PIECE_SIZE = 64 << 10


def tail(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """The last ``lines`` lines of ``key``, or of the newest (``previous``: the one before) of ``name``; then follow."""
    directory = _find_directory(root, request)
    _send_text(
        context,
        _last_lines(console_log.clean_text(console_log.read_content(directory)), int(request.get("lines") or 0)),
    )
    if request.get("follow"):
        _follow(directory, context)
    return {"key": ".".join(os.path.basename(directory).split(".")[:2])}


def console_text(root: layout.StoreLayout, owner: str, key: str) -> str:
    """The console of a live instance as text; empty where it said nothing."""
    return console_log.clean_text(console_log.read_content(root.instance(owner, key)))


def _find_directory(root: layout.StoreLayout, request: dict[str, Any]) -> str:
    owner = request["owner"]
    if request.get("key"):
        instance_key = layout.safe_component(request["key"])
        live_directory = root.instance(owner, instance_key)
        live_directories = [live_directory] if os.path.isdir(live_directory) else []
        retired_directories = [
            entry[3]
            for entry in retired_records.list_retired(root, owner)
            if os.path.basename(entry[3]).startswith(instance_key + ".")
        ]
        return _newest_directory(retired_directories + live_directories, instance_key)
    name = layout.safe_component(request["name"])
    directories_by_launch = [root.instance(owner, key) for key in _keys_by_launch(root, owner, name)]
    retired_directories = [entry[3] for entry in retired_records.list_retired(root, owner) if entry[0] == name]
    all_directories = retired_directories + directories_by_launch
    return _newest_directory(all_directories[:-1] if request.get("previous") else all_directories, name)


def _newest_directory(directories: list[str], label: str) -> str:
    if not directories:
        raise errors.HostError("not-found", f"there is no console of {label} on this host", "look at `unictl status`")
    return directories[-1]


def _keys_by_launch(root: layout.StoreLayout, owner: str, name: str) -> list[str]:
    launches = []
    for key in root.keys(owner):
        if retired_records.instance_name(key) == name:
            path = root.instance(owner, key) + "/record.json"
            launch = (guarded_read.read_or_note(None, guarded_read.read_object, path) or {}).get("launch")
            launches.append((launch if guarded_read.is_uint(launch) else 0, key))
    return [key for _, key in sorted(launches)]


def _last_lines(text: str, lines: int) -> str:
    if not lines:
        return text
    all_lines = text.split("\n")
    return "\n".join(all_lines[-lines - 1 :] if text.endswith("\n") else all_lines[-lines:])


def _send_text(context: RequestContext, text: str) -> None:
    for offset in range(0, len(text), PIECE_SIZE):
        context.send_event({"data": text[offset : offset + PIECE_SIZE]})


def _follow(directory: str, context: RequestContext) -> None:
    """Until cancelled or retired. A line is told when it is whole, so that no sequence is cut in two."""
    position = _end_position(directory)
    pending = b""
    while not context.cancelled.wait(POLL_INTERVAL):
        if not os.path.isdir(directory):
            return
        data, position = _read_new(directory, position)
        complete_lines, _, pending = (pending + data).rpartition(b"\n")
        if complete_lines or data:
            _send_text(context, console_log.clean_text(complete_lines + b"\n") if complete_lines else "")
        if len(pending) > PIECE_SIZE:
            _send_text(context, console_log.clean_text(pending))
            pending = b""


def _end_position(directory: str) -> tuple[int, int]:
    """(inode, size) of the file being written."""
    try:
        file_stat = os.stat(directory + "/console.1")
    except FileNotFoundError:
        return 0, 0
    return file_stat.st_ino, file_stat.st_size


def _read_new(directory: str, position: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """What was written since; after a turn of the ring, the rest of the old file and all of the new."""
    current_position = _end_position(directory)
    if current_position == position:
        return b"", position
    if current_position[0] == position[0]:
        return _read_range(directory + "/console.1", position[1], current_position[1]), current_position
    old_data = b""
    try:
        if os.stat(directory + "/console.0").st_ino == position[0]:
            old_data = _read_range(directory + "/console.0", position[1], console_log.FILE_LIMIT * 2)
    except FileNotFoundError:
        old_data = b""
    return old_data + _read_range(directory + "/console.1", 0, current_position[1]), current_position


def _read_range(path: str, start: int, end: int) -> bytes:
    try:
        descriptor = guarded_read.open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
    except (FileNotFoundError, errors.HostError):
        return b""
    try:
        return os.pread(descriptor, max(0, end - start), start)
    finally:
        os.close(descriptor)
