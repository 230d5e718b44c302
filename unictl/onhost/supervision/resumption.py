"""What a fleet has on this host that needs its supervisor daemon."""

from __future__ import annotations

import os

from ..instances.instance_state import read_state
from ..storage import guarded_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..storage import layout


def has_ingress(root: layout.StoreLayout, owner: str) -> bool:
    """Whether there is an ingress to look after."""
    return os.path.exists(root.fleet(owner) + "/ingress/haproxy.cfg")


def keys_to_resume(root: layout.StoreLayout, owner: str) -> list[str]:
    """The instances that run without a daemon, or wait to run again."""
    states_by_key = {
        key: guarded_read.read_or_note(None, read_state, root, owner, key, False) for key in root.keys(owner)
    }
    return [
        key
        for key, state_row in states_by_key.items()
        if state_row
        and (state_row["state"] == "unsupervised" or (state_row["state"] == "ended" and state_row["end"]["restarting"]))
    ]
