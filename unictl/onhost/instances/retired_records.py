"""Retired records: listed by the names of their directories alone (``<name>.<gen>.<launch number>.<ms>``), and
pruned.
"""

from __future__ import annotations

from ..storage import layout


def name_of(key: str) -> str:
    """``api-2`` of ``api-2.7f3c9a1b``."""
    return key.partition(".")[0]


def listed(root: layout.Root, owner: str) -> list[tuple[str, int, int, str]]:
    """(name, launch number, ms, folder) of everything retired, by name, the newest last."""
    rows = []
    for entry in layout.names(root.retired(owner)):
        parts = entry.split(".")
        if len(parts) == 4 and parts[2].isdigit() and parts[3].isdigit():
            rows.append((parts[0], int(parts[2]), int(parts[3]), f"{root.retired(owner)}/{entry}"))
    return sorted(rows)


def launches(root: layout.Root, owner: str) -> dict[str, int]:
    """The highest launch number of every name in retired records."""
    return {name: launch for name, launch, _, _ in listed(root, owner)}
