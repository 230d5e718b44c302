"""The console text of an instance, live or retired, to the end or followed. Always cleaned: guests are hostile."""

from __future__ import annotations

import os

from ..instances import console_log, retired_records
from ..protocol import frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POLL = 0.1
PIECE = 64 << 10


def tail(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """The last ``lines`` lines of ``key``, or of the newest (``previous``: the one before) of ``name``; then follow."""
    folder = _folder(root, ask)
    _say(call, _last_lines(console_log.clean(console_log.content(folder)), int(ask.get("lines") or 0)))
    if ask.get("follow"):
        _follow(folder, call)
    return {"key": ".".join(os.path.basename(folder).split(".")[:2])}


def console_text(root: layout.Root, owner: str, key: str) -> str:
    """The console of a live instance as text; empty where it said nothing."""
    return console_log.clean(console_log.content(root.instance(owner, key)))


def _folder(root: layout.Root, ask: dict[str, Any]) -> str:
    owner = ask["owner"]
    if ask.get("key"):
        wanted = layout.part(ask["key"])
        live = root.instance(owner, wanted)
        places = [live] if os.path.isdir(live) else []
        gone = [
            row[3] for row in retired_records.listed(root, owner) if os.path.basename(row[3]).startswith(wanted + ".")
        ]
        return _one(gone + places, wanted)
    name = layout.part(ask["name"])
    live_ones = [root.instance(owner, key) for key in _by_launch(root, owner, name)]
    gone = [row[3] for row in retired_records.listed(root, owner) if row[0] == name]
    both = gone + live_ones
    return _one(both[:-1] if ask.get("previous") else both, name)


def _one(places: list[str], wanted: str) -> str:
    if not places:
        raise frames.Problem("not-found", f"there is no console of {wanted} on this host", "look at `unictl status`")
    return places[-1]


def _by_launch(root: layout.Root, owner: str, name: str) -> list[str]:
    found = []
    for key in root.keys(owner):
        if retired_records.name_of(key) == name:
            path = root.instance(owner, key) + "/record.json"
            launch = (guarded_read.noted(None, guarded_read.read_object, path) or {}).get("launch")
            found.append((launch if guarded_read.number(launch) else 0, key))
    return [key for _, key in sorted(found)]


def _last_lines(text: str, lines: int) -> str:
    if not lines:
        return text
    kept = text.split("\n")
    return "\n".join(kept[-lines - 1 :] if text.endswith("\n") else kept[-lines:])


def _say(call: Any, text: str) -> None:
    for at in range(0, len(text), PIECE):
        call.event({"data": text[at : at + PIECE]})


def _follow(folder: str, call: Any) -> None:
    """Until cancelled or retired. A line is told when it is whole, so that no sequence is cut in two."""
    position = _end(folder)
    pending = b""
    while not call.cancelled.wait(POLL):
        if not os.path.isdir(folder):
            return
        data, position = _news(folder, position)
        whole, _, pending = (pending + data).rpartition(b"\n")
        if whole or data:
            _say(call, console_log.clean(whole + b"\n") if whole else "")
        if len(pending) > PIECE:
            _say(call, console_log.clean(pending))
            pending = b""


def _end(folder: str) -> tuple[int, int]:
    """(inode, size) of the file being written."""
    try:
        there = os.stat(folder + "/console.1")
    except FileNotFoundError:
        return 0, 0
    return there.st_ino, there.st_size


def _news(folder: str, position: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """What was written since; after a turn of the ring, the rest of the old file and all of the new."""
    now = _end(folder)
    if now == position:
        return b"", position
    if now[0] == position[0]:
        return _read(folder + "/console.1", position[1], now[1]), now
    rest = b""
    try:
        if os.stat(folder + "/console.0").st_ino == position[0]:
            rest = _read(folder + "/console.0", position[1], console_log.BOUND * 2)
    except FileNotFoundError:
        rest = b""
    return rest + _read(folder + "/console.1", 0, now[1]), now


def _read(path: str, begin: int, end: int) -> bytes:
    try:
        descriptor = guarded_read.plain(path, os.O_RDONLY | os.O_NOFOLLOW)
    except (FileNotFoundError, frames.Problem):
        return b""
    try:
        return os.pread(descriptor, max(0, end - begin), begin)
    finally:
        os.close(descriptor)
