"""The documents of `images` and `volumes` as lines of spans. Pure.

An image is shown by the first 12 digits of its digest and its name in the lock file. Images of other fleets are
shown too: they use space and explain why something is retained.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from unictl.fleet.names import InstanceKey
from unictl.views.text.layout import EMPTY, abbreviate, count_of, elide, format_table, sanitize, styled_line, wrap
from unictl.views.text.sorting import natural_key
from unictl.views.text.spans import Line
from unictl.views.text.units import byte_size

Document = Mapping[str, Any]
_DIGEST_DIGITS = 12


def render_images(document: Document, width: int = 80) -> tuple[Line, ...]:
    """A row for every image, host by host; sentences for what is damaged; the last line counts."""
    sorted_images = sorted(
        document["images"], key=lambda image: (natural_key(image["host"]), not image["names"], image["names"])
    )
    fleet = str(document["fleet"])
    has_damage = any(image["state"] != "whole" for image in sorted_images)
    cells = [_image_cells(image, has_damage) for image in sorted_images]
    damage_lines = [
        line
        for image in sorted_images
        if image["state"] == "damaged"
        for line in wrap(_damage_sentence(image), width, 2, "error")
    ]
    header = ("HOST", "IMAGE", "DIGEST", *(["STATE"] if has_damage else []), "SIZE", "USED BY", "KEPT FOR")
    size = sum(image["size"] for image in sorted_images)
    last = f"{fleet}: {count_of(len(sorted_images), 'image')}, {byte_size(size)}, on {_hosts_text(document)}."
    return _join_blocks(
        _fit_table(cells, header, width),
        damage_lines,
        _unreachable_lines(document, width),
        (styled_line(sanitize(last), "bold"),),
    )


def render_volumes(document: Document, width: int = 80) -> tuple[Line, ...]:
    """A row for every volume; the last line counts, and says how one that nobody has is deleted."""
    sorted_volumes = sorted(document["volumes"], key=lambda volume: (natural_key(volume["name"]), volume["host"]))
    cells = [
        (
            sanitize(volume["name"]),
            sanitize(volume["host"]),
            byte_size(volume["size"]),
            byte_size(volume["allocated"]),
            sanitize(volume["used_by"] or "-"),
            sanitize(volume["protected"] or "nothing"),
        )
        for volume in sorted_volumes
    ]
    free = [volume["name"] for volume in sorted_volumes if not volume["protected"]]
    delete_hint = (
        wrap(f"To delete {free[0]} and its data: unictl apply -allow-destroy volume:{free[0]}", width) if free else ()
    )
    header = ("VOLUME", "HOST", "SIZE", "TAKES", "USED BY", "KEPT BECAUSE")
    taken = sum(volume["allocated"] for volume in sorted_volumes)
    volume_count = count_of(len(sorted_volumes), "volume")
    last = f"{document['fleet']}: {volume_count}, {byte_size(taken)}, on {_hosts_text(document)}."
    return _join_blocks(
        _fit_table(cells, header, width),
        delete_hint,
        _unreachable_lines(document, width),
        (styled_line(sanitize(last), "bold"),),
    )


def _image_cells(image: Document, with_state: bool) -> tuple[str, ...]:
    return (
        sanitize(image["host"]),
        sanitize(abbreviate(image["names"], 1) or "-"),
        image["digest"][:_DIGEST_DIGITS],
        *([image["state"]] if with_state else []),
        byte_size(image["size"]),
        sanitize(abbreviate([InstanceKey(reference["key"]).name for reference in image["used"]], 1) or "-"),
        sanitize(abbreviate([_revision_text(reference) for reference in image["kept"]], 1) or "-"),
    )


def _damage_sentence(image: Document) -> str:
    consequence = (
        "the next apply brings it anew" if image["used"] else "nobody runs from it, and the next apply there drops it"
    )
    digest = image["digest"][:_DIGEST_DIGITS]
    return f"{image['host']}: image {digest} is damaged, its bytes are not those of its name: {consequence}."


def _revision_text(reference: Document) -> str:
    """The commit, or when it was applied where there is none."""
    if reference["revision"]:
        return str(reference["revision"])[:8]
    return f"{datetime.fromtimestamp(reference.get('at') or 0, UTC):%m-%d %H:%M}Z"


def _fit_table(cells: Sequence[tuple[str, ...]], header: tuple[str, ...], width: int) -> tuple[Line, ...]:
    """Columns, the widest of them cut where a line does not hold them all."""
    if not cells:
        return ()
    all_rows = [list(table_row) for table_row in (header, *cells)]
    while (wide := _table_width(all_rows)) > width:
        sizes = [max(len(table_row[column]) for table_row in all_rows) for column in range(len(header))]
        widest = sizes.index(max(sizes))
        if sizes[widest] <= 8:
            break
        for table_row in all_rows:
            table_row[widest] = elide(table_row[widest], max(8, sizes[widest] - (wide - width)))
    return format_table(all_rows[1:], all_rows[0], indent=0)


def _table_width(all_rows: Sequence[Sequence[str]]) -> int:
    return sum(max(len(table_row[column]) for table_row in all_rows) + 2 for column in range(len(all_rows[0]))) - 2


def _hosts_text(document: Document) -> str:
    silent = sum(1 for host in document["hosts"] if not host["reachable"])
    return count_of(len(document["hosts"]), "host") + (f", {silent} unreachable" if silent else "")


def _unreachable_lines(document: Document, width: int) -> Sequence[Line]:
    unreachable = [host for host in document["hosts"] if not host["reachable"]]
    return [line for host in unreachable for line in wrap(f"{host['name']}: {host['why']}", width, 2, "error")]


def _join_blocks(*blocks: Sequence[Line]) -> tuple[Line, ...]:
    """The blocks that say something, an empty line between them."""
    filled_blocks = [block for block in blocks if block]
    return tuple(
        line
        for index, block in enumerate(filled_blocks)
        for line in (*block, *([EMPTY] if index < len(filled_blocks) - 1 else []))
    )
