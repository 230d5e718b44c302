"""Other stores of this machine that hold something of a fleet, because it was once reached as another user.

As root the store is the system's, as anybody else the user's own: after ``become`` or `root:` changed, the same
machine shows another store that is empty, while everything in the old one keeps running. Looks where unictl puts
stores by default and, if the fleet has nothing here, where a daemon of it runs.
"""

from __future__ import annotations

import os

from .. import errors
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SYSTEM_STORE = "/var/lib/unictl"


def find_stores(root: layout.StoreLayout, owner: str) -> list[dict[str, Any]]:
    """{root, id} of every other store where the fleet has instances or volumes."""
    own_path = os.path.realpath(root.path)
    candidates = [*_candidate_paths(), *([] if _holds_fleet(root, owner) else _daemon_stores(owner))]
    other_paths = [path for path in dict.fromkeys(candidates) if os.path.realpath(path) != own_path]
    return [
        {"root": path, "id": _store_id(path)} for path in other_paths if _holds_fleet(layout.StoreLayout(path), owner)
    ]


def _candidate_paths() -> list[str]:
    """The system's store, and those of the user this is, or whom sudo made root of."""
    import pwd

    paths = [SYSTEM_STORE]
    for user in (os.environ.get("SUDO_USER", ""), os.geteuid()):
        try:
            account = pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
        except (KeyError, ValueError):
            continue
        paths.append(os.path.join(account.pw_dir, ".local", "state", "unictl"))
    return list(dict.fromkeys(paths))


def _daemon_stores(owner: str) -> list[str]:
    """Stores whose supervisors of that fleet run on this machine, as far as this user can see."""
    store_paths = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = (guarded_read.read_bytes(f"/proc/{pid}/cmdline") or b"").decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        # The program, then the store, the fleet, and what else it is told
        # (``daemon_client.daemon_command``, ``unit_text``).
        if owner in words[2:] and any("supervision" in word and "onhost" in word for word in words):
            store_paths.append(words[words.index(owner) - 1])
    return [path for path in store_paths if path.startswith("/")]


def _holds_fleet(store: layout.StoreLayout, owner: str) -> bool:
    """Whether something of the fleet is there. Root's folders may be passed through and not listed: ``destroy`` leaves
    no folder of instances, so that it is there is enough."""
    for directory in (store.instances(owner), store.volumes(owner)):
        try:
            if guarded_read.list_names(directory):
                return True
        except (OSError, errors.HostError):
            if directory == store.instances(owner) and os.path.isdir(directory):
                return True
    return False


def _store_id(path: str) -> str:
    host_id: str | None = guarded_read.read_or_note(None, layout.StoreLayout(path).host_id)
    return host_id or ""
