"""Other stores of this machine that hold something of a fleet: it was once reached as another user.

As root the store is the system's, as anybody else the user's own; who toggles ``become`` shows the same machine with
another store, where nothing of the fleet lies, while all of it runs on. Looks only where unictl puts stores by itself.
"""

from __future__ import annotations

import os

from . import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SYSTEM = "/var/lib/unictl"


def stores(root: records.Root, owner: str) -> list[dict[str, Any]]:
    """{root, id} of every other store where the fleet has instances or volumes."""
    here = os.path.realpath(root.path)
    others = [path for path in _candidates() if os.path.realpath(path) != here]
    return [{"root": path, "id": _id(path)} for path in others if _holds(records.Root(path), owner)]


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


def _holds(store: records.Root, owner: str) -> bool:
    """Whether something of the fleet is there. Root's folders may be passed through and not listed: ``destroy`` leaves
    no folder of instances, so that it is there is enough."""
    for folder in (store.instances(owner), store.volumes(owner)):
        try:
            if records.names(folder):
                return True
        except OSError:
            if folder == store.instances(owner) and os.path.isdir(folder):
                return True
    return False


def _id(path: str) -> str:
    try:
        return records.Root(path).host_id()
    except OSError:
        return ""
