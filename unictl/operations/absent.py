"""What is said where there is no fleet in the place that was named."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from unictl.diagnostics.failure import UsageFailure

if TYPE_CHECKING:
    from pathlib import Path


def no_fleet(path: Path, folder: Path, entry: str) -> UsageFailure:
    """What stands there instead, or what may have been meant."""
    hint = "name a fleet's folder, or begin one with `unictl init`"
    if folder.is_dir():
        return UsageFailure(f"there is no {entry} in {folder.absolute()}", hint=hint)
    if folder.is_file():
        file = shlex.join([str(folder)])
        hint = f"where it is a saved plan: unictl show {file}, or unictl apply {file}; else name a fleet's folder"
        return UsageFailure(f"{folder} is a file, and no fleet", hint=hint)
    if path.suffix:
        hint = "name a fleet's folder, or a file that `unictl plan -out` wrote"
        return UsageFailure(f"there is no such plan file or folder: {folder}", hint=hint)
    return UsageFailure(f"there is no folder {folder}", hint=hint)
