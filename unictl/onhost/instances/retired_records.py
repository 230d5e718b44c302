"""Retired records: listed by the names of their directories alone (``<name>.<gen>.<launch number>.<ms>``), and
pruned.
"""

from __future__ import annotations

from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..storage.fenced_store import FencedStore


def instance_name(key: str) -> str:
    """``api-2`` of ``api-2.7f3c9a1b``."""
    return key.partition(".")[0]


def list_retired(root: layout.StoreLayout, owner: str) -> list[tuple[str, int, int, str]]:
    """(name, launch number, ms, folder) of everything retired, by name, the newest last."""
    retired = []
    for directory_name in guarded_read.list_names(root.retired(owner)):
        parts = directory_name.split(".")
        if len(parts) == 4 and parts[2].isdigit() and parts[3].isdigit():
            retired.append((parts[0], int(parts[2]), int(parts[3]), f"{root.retired(owner)}/{directory_name}"))
    return sorted(retired)


def highest_launches(root: layout.StoreLayout, owner: str) -> dict[str, int]:
    """The highest launch number of every name in retired records."""
    return {name: launch for name, launch, _, _ in list_retired(root, owner)}


def prune(root: FencedStore, owner: str, name: str, keep: int) -> int:
    """Forget all but the last ``keep`` of a name; never the last one, it holds the launch number."""
    entries = [entry for entry in list_retired(root, owner) if entry[0] == name]
    surplus = entries[: max(0, len(entries) - max(1, keep))]
    for _, _, _, directory in surplus:
        root.remove_atomically(directory)
    return len(surplus)
