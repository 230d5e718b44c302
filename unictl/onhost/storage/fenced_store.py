"""The store as a lease holder may change it: every rename, link and removal passes the fence of the lease first.

Files written aside need no fence: nobody reads them before their rename, and the next holder sweeps them. Caches
that
anybody may write are not covered.
"""

from __future__ import annotations

import os

from ..protocol import frames
from . import fence, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fence import Fence


class Writable(layout.Root):
    """A store that may be changed: by the holder of a lease, or by who needs none (``free``)."""

    def __init__(self, path: str, writes: Fence):
        super().__init__(path)
        self.fence = writes

    def folders(self, path: str, mode: int = 0o711) -> None:
        """See :func:`records.folders`."""
        with self.fence.passing():
            layout.folders(path, mode)

    def rename(self, aside: str, path: str) -> None:
        """Put what was written aside in its place."""
        with self.fence.passing():
            os.rename(aside, path)

    def write_atomic(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """See :func:`records.write_atomic`."""
        layout.write_atomic(path, data, mode, self.rename)

    def write_cache(self, path: str, data: bytes) -> None:
        """The same, of what is no reason to fail on a full disk."""
        try:
            self.write_atomic(path, data)
        except frames.Problem as told:
            if told.kind != "no-room":
                raise

    def write_plain(self, path: str, data: bytes, sync: bool = True) -> None:
        """Write a file whose being there says all."""
        with self.fence.passing():
            layout.write_plain(path, data, sync=sync)

    def append(self, path: str, line: bytes) -> int:
        """See :func:`records.append`; durable when this returns."""
        with self.fence.passing():
            return layout.append(path, line, sync=True)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name."""
        with self.fence.passing():
            os.link(old, new)

    def symlink(self, target: str, path: str) -> None:
        """Make a link."""
        with self.fence.passing():
            os.symlink(target, path)

    def remove_file(self, path: str) -> None:
        """See :func:`records.remove_file`."""
        with self.fence.passing():
            layout.remove_file(path)

    def remove_empty(self, path: str) -> None:
        """Remove a folder where there is nothing in it."""
        with self.fence.passing():
            if not os.listdir(path):
                os.rmdir(path)

    def remove_tree(self, path: str) -> None:
        """See :func:`records.remove_tree`."""
        with self.fence.passing():
            layout.remove_tree(path)

    def remove_aside(self, path: str) -> None:
        """See :func:`records.remove_aside`."""
        with self.fence.passing():
            layout.remove_aside(path)


def free(root: layout.Root) -> Writable:
    """The same store, for who looks after what runs and holds no lease."""
    return Writable(root.path, fence.Fence())
