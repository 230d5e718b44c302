"""The store as a lease holder may change it: every rename, link and removal passes the fence of the lease first.

Files written aside need no fence: nobody reads them before their rename, and the next holder sweeps them. Caches
that anybody may write are not covered.
"""

from __future__ import annotations

import os

from .. import errors
from . import atomic, fence, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fence import Fence


class FencedStore(layout.StoreLayout):
    """A store that may be changed: by the holder of a lease, or by who needs none (``unfenced``)."""

    def __init__(self, path: str, write_fence: Fence):
        super().__init__(path)
        self.fence = write_fence

    def make_dirs(self, path: str, mode: int = 0o711) -> None:
        """See :func:`atomic.make_dirs`."""
        with self.fence.enter():
            atomic.make_dirs(path, mode)

    def rename(self, source: str, path: str) -> None:
        """Put what was written aside in its place."""
        with self.fence.enter():
            os.rename(source, path)

    def write_atomic(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """See :func:`atomic.write`."""
        atomic.write(path, data, mode, self.rename)

    def write_cache(self, path: str, data: bytes) -> None:
        """The same, of what is no reason to fail on a full disk."""
        try:
            self.write_atomic(path, data)
        except errors.HostError as error:
            if error.kind != "no-room":
                raise

    def write_in_place(self, path: str, data: bytes, sync: bool = True) -> None:
        """Write a file whose being there says all."""
        with self.fence.enter():
            atomic.write_in_place(path, data, sync=sync)

    def append(self, path: str, line: bytes) -> int:
        """See :func:`atomic.append`; durable when this returns."""
        with self.fence.enter():
            return atomic.append(path, line, sync=True)

    def link(self, source: str, link_path: str) -> None:
        """Give a file a second name."""
        with self.fence.enter():
            os.link(source, link_path)

    def symlink(self, target: str, path: str) -> None:
        """Make a link."""
        with self.fence.enter():
            os.symlink(target, path)

    def remove_file(self, path: str) -> None:
        """See :func:`atomic.remove_file`."""
        with self.fence.enter():
            atomic.remove_file(path)

    def remove_if_empty(self, path: str) -> None:
        """Remove a folder where there is nothing in it."""
        with self.fence.enter():
            if not os.listdir(path):
                os.rmdir(path)

    def remove_tree(self, path: str) -> None:
        """See :func:`atomic.remove_tree`."""
        with self.fence.enter():
            atomic.remove_tree(path)

    def remove_atomically(self, path: str) -> None:
        """See :func:`atomic.remove_atomically`."""
        with self.fence.enter():
            atomic.remove_atomically(path)


def unfenced(root: layout.StoreLayout) -> FencedStore:
    """The same store, for who looks after what runs and holds no lease."""
    return FencedStore(root.path, fence.Fence())
