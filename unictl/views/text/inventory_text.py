"""The documents of `images` and `volumes` as lines of spans. Pure.

An image is shown by the first 12 digits of its digest and its name in the lock file. Images of other fleets are
shown
too: they use space and explain why something is retained.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from unictl.views.text.fold import natural
from unictl.views.text.layout import EMPTY, clean, counted, elide, one, some, table, wrap
from unictl.views.text.spans import Line
from unictl.views.text.units import amount

Document = Mapping[str, Any]
_SHORT = 12


def images(document: Document, width: int = 80) -> tuple[Line, ...]:
    """A row for every image, host by host; sentences for what is damaged; the last line counts."""
    rows = sorted(document["images"], key=lambda row: (natural(row["host"]), not row["names"], row["names"]))
    fleet = str(document["fleet"])
    odd = any(row["state"] != "whole" for row in rows)
    cells = [_image(row, odd) for row in rows]
    told = [line for row in rows if row["state"] == "damaged" for line in wrap(_damage(row), width, 2, "error")]
    head = ("HOST", "IMAGE", "DIGEST", *(["STATE"] if odd else []), "SIZE", "USED BY", "KEPT FOR")
    size = sum(row["size"] for row in rows)
    last = f"{fleet}: {counted(len(rows), 'image')}, {amount(size)}, on {_hosts(document)}."
    return _blocks(_table(cells, head, width), told, _silent(document, width), (one(clean(last), "bold"),))


def volumes(document: Document, width: int = 80) -> tuple[Line, ...]:
    """A row for every volume; the last line counts, and says how one that nobody has is deleted."""
    rows = sorted(document["volumes"], key=lambda row: (natural(row["name"]), row["host"]))
    cells = [
        (
            clean(row["name"]),
            clean(row["host"]),
            amount(row["size"]),
            amount(row["allocated"]),
            clean(row["used_by"] or "-"),
            clean(row["protected"] or "nothing"),
        )
        for row in rows
    ]
    free = [row["name"] for row in rows if not row["protected"]]
    told = (
        wrap(f"To delete {free[0]} and its data: unictl apply -allow-destroy volume:{free[0]}", width) if free else ()
    )
    head = ("VOLUME", "HOST", "SIZE", "TAKES", "USED BY", "KEPT BECAUSE")
    taken = sum(row["allocated"] for row in rows)
    last = f"{document['fleet']}: {counted(len(rows), 'volume')}, {amount(taken)}, on {_hosts(document)}."
    return _blocks(_table(cells, head, width), told, _silent(document, width), (one(clean(last), "bold"),))


def _image(row: Document, odd: bool) -> tuple[str, ...]:
    return (
        clean(row["host"]),
        clean(some(row["names"], 1) or "-"),
        row["digest"][:_SHORT],
        *([row["state"]] if odd else []),
        amount(row["size"]),
        clean(some([each["key"].partition(".")[0] for each in row["used"]], 1) or "-"),
        clean(some([_revision(each) for each in row["kept"]], 1) or "-"),
    )


def _damage(row: Document) -> str:
    after = "the next apply brings it anew" if row["used"] else "nobody runs from it, and the next apply there drops it"
    return f"{row['host']}: image {row['digest'][:_SHORT]} is damaged, its bytes are not those of its name: {after}."


def _revision(kept: Document) -> str:
    """The commit, or when it was applied where there is none."""
    if kept["revision"]:
        return str(kept["revision"])[:8]
    return f"{datetime.fromtimestamp(kept.get('at') or 0, UTC):%m-%d %H:%M}Z"


def _table(cells: Sequence[tuple[str, ...]], head: tuple[str, ...], width: int) -> tuple[Line, ...]:
    """Columns, the widest of them cut where a line does not hold them all."""
    if not cells:
        return ()
    rows = [list(row) for row in (head, *cells)]
    while (wide := _width(rows)) > width:
        sizes = [max(len(row[n]) for row in rows) for n in range(len(head))]
        most = sizes.index(max(sizes))
        if sizes[most] <= 8:
            break
        for row in rows:
            row[most] = elide(row[most], max(8, sizes[most] - (wide - width)))
    return table(rows[1:], rows[0], indent=0)


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(max(len(row[n]) for row in rows) + 2 for n in range(len(rows[0]))) - 2


def _hosts(document: Document) -> str:
    silent = sum(1 for host in document["hosts"] if not host["reachable"])
    return counted(len(document["hosts"]), "host") + (f", {silent} unreachable" if silent else "")


def _silent(document: Document, width: int) -> Sequence[Line]:
    found = [host for host in document["hosts"] if not host["reachable"]]
    return [line for host in found for line in wrap(f"{host['name']}: {host['why']}", width, 2, "error")]


def _blocks(*blocks: Sequence[Line]) -> tuple[Line, ...]:
    """The blocks that say something, an empty line between them."""
    said = [block for block in blocks if block]
    return tuple(line for n, block in enumerate(said) for line in (*block, *([EMPTY] if n < len(said) - 1 else [])))
