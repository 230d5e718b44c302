"""The working tree: a fleet's directory as it is on disk."""

import os
from collections.abc import Iterator
from pathlib import Path

from unictl.revisions.file_tree import OutsideDirectory


class WorkingTree:
    """The files below ``folder``; symbolic links that lead out of it are not followed."""

    def __init__(self, folder: Path):
        self.folder = folder.resolve()

    def paths(self) -> Iterator[str]:
        for folder, names, files in os.walk(self.folder):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for file in sorted(files):
                yield (Path(folder) / file).relative_to(self.folder).as_posix()

    def read(self, path: str) -> bytes:
        return self._resolve_inside(path).read_bytes()

    def on_disk(self, path: str) -> Path | None:
        resolved = self._resolve_inside(path)
        return resolved if resolved.is_file() else None

    def _resolve_inside(self, path: str) -> Path:
        resolved = (self.folder / path).resolve()
        if not resolved.is_relative_to(self.folder):
            raise OutsideDirectory(f"{path} leads out of the fleet's folder")
        return resolved
