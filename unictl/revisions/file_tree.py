"""A tree of files below a fleet's directory, in the working tree or at a revision: the interface and its error."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol


class OutsideDirectory(FileNotFoundError):
    """A path that leads out of the fleet's folder: what lies there is in no revision, and is never read."""


class FileTree(Protocol):
    """Files by path relative to the fleet's folder, with ``/`` between; never above it."""

    def paths(self) -> Iterator[str]:
        """Every file's path, sorted; files git ignores by convention (dot folders) are left out."""

    def read(self, path: str) -> bytes:
        """The bytes of one file; FileNotFoundError, which is an Outside where a link leads out of the folder."""

    def on_disk(self, path: str) -> Path | None:
        """Where the file's bytes lie on this machine, where they do; Outside as ``read``."""


class FileTexts(Mapping[str, str]):
    """A tree's files as texts, read only when they are asked for."""

    def __init__(self, tree: FileTree):
        self._tree = tree
        self._paths = dict.fromkeys(tree.paths())

    def __getitem__(self, path: str) -> str:
        if path not in self._paths:
            raise KeyError(path)
        return self._tree.read(path).decode("utf-8", errors="replace")

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
