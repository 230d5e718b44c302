"""The files of a fleet as read, the fleet prepared from them, and their problems with places in the files."""

from __future__ import annotations

import shlex
from itertools import islice
from typing import TYPE_CHECKING

from unictl.diagnostics.failure import UsageFailure

if TYPE_CHECKING:
    from pathlib import Path

_LOOKED_AT = 200
"""Folders beside and above that are looked into, at most."""


def no_fleet(path: Path, folder: Path, entry: str) -> UsageFailure:
    """What stands there instead, or what may have been meant."""
    hint = "name a fleet's folder, or begin one with `unictl init`"
    if folder.is_dir():
        near = _near(folder)
        hint = f"{' and '.join(map(str, near))} {'has' if len(near) == 1 else 'have'} one: name it" if near else hint
        return UsageFailure(f"there is no {entry} in {folder.absolute()}", hint=hint)
    if folder.is_file():
        file = shlex.join([str(folder)])
        hint = f"where it is a saved plan: unictl show {file}, or unictl apply {file}; else name a fleet's folder"
        return UsageFailure(f"{folder} is a file, and no fleet", hint=hint)
    if path.suffix:
        hint = "name a fleet's folder, or a file that `unictl plan -out` wrote"
        return UsageFailure(f"there is no such plan file or folder: {folder}", hint=hint)
    return UsageFailure(f"there is no folder {folder}", hint=hint)


def _near(folder: Path) -> list[Path]:
    """Fleets in the folder, right below it or right above: three at most, as they would be typed."""
    try:
        below = sorted(each for each in islice(folder.iterdir(), _LOOKED_AT) if each.is_dir())
    except OSError:
        below = []
    above = folder / ".." if str(folder) != "." else type(folder)("..")
    places = [folder, *below, above]
    return [each for each in places if (each / "fleet.yaml").is_file()][:3]
