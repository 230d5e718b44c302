"""Other stores of this machine that hold something of a fleet, because it was once reached as another user.

As root the store is the system's, as anybody else the user's own: after ``become`` or `root:` changed, the same
machine
shows another store that is empty, while everything in the old one keeps running. Looks where unictl puts stores by
default and, if the fleet has nothing here, where a daemon of it runs.
"""

from __future__ import annotations

import os

from ..protocol import frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SYSTEM = "/var/lib/unictl"


def stores(root: layout.Root, owner: str) -> list[dict[str, Any]]:
    """{root, id} of every other store where the fleet has instances or volumes."""
    here = os.path.realpath(root.path)
    places = [*_candidates(), *([] if _holds(root, owner) else _kept(owner))]
    others = [path for path in dict.fromkeys(places) if os.path.realpath(path) != here]
    return [{"root": path, "id": _id(path)} for path in others if _holds(layout.Root(path), owner)]


def _candidates() -> list[str]:
    """The system's store, and those of the user this is, or whom sudo made root of."""
    import pwd

    paths = [SYSTEM]
    for user in (os.environ.get("SUDO_USER", ""), os.geteuid()):
        try:
            row = pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
        except (KeyError, ValueError):
            continue
        paths.append(os.path.join(row.pw_dir, ".local", "state", "unictl"))
    return list(dict.fromkeys(paths))


def _kept(owner: str) -> list[str]:
    """Stores whose keepers of that fleet run on this machine, as far as this user can see."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = (guarded_read.read_bytes(f"/proc/{pid}/cmdline") or b"").decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        # The program, then the store, the fleet, and what else it is told (``supervise.command``, ``unit_text``).
        if owner in words[2:] and any("supervision" in word and "onhost" in word for word in words):
            found.append(words[words.index(owner) - 1])
    return [path for path in found if path.startswith("/")]


def _holds(store: layout.Root, owner: str) -> bool:
    """Whether something of the fleet is there. Root's folders may be passed through and not listed: ``destroy`` leaves
    no folder of instances, so that it is there is enough."""
    for folder in (store.instances(owner), store.volumes(owner)):
        try:
            if layout.names(folder):
                return True
        except (OSError, frames.Problem):
            if folder == store.instances(owner) and os.path.isdir(folder):
                return True
    return False


def _id(path: str) -> str:
    told: str | None = guarded_read.noted(None, layout.Root(path).host_id)
    return told or ""
