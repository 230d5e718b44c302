"""Reads a file that somebody else may write to: all bytes come from one state of the file, or reading fails.

The file is not mapped into memory: if a mapped file is truncated, the process that reads it is killed.
"""

import errno
import os
from io import UnsupportedOperation
from typing import BinaryIO

PIECE = 1 << 20


class Changed(OSError):
    """The file was written to, or cut short, between two looks at it."""

    def __init__(self) -> None:
        super().__init__(errno.ESTALE, "it was changed while it was read")


class Steady:
    """The bytes of an open file by offset, as long as it stays what it was when this was made."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.name = str(getattr(file, "name", "the file"))
        try:
            self._descriptor = file.fileno()
        except UnsupportedOperation:
            self._descriptor = -1
        self.stamp = self._look()

    @property
    def is_file(self) -> bool:
        """Whether ``stamp`` tells it from all others."""
        return self._descriptor >= 0

    def __len__(self) -> int:
        return self.stamp[2]

    def __getitem__(self, key: slice, /) -> bytes:
        begin, end, _ = key.indices(len(self))
        return self.read(begin, max(0, end - begin))

    def read(self, offset: int, length: int) -> bytes:
        """So many bytes from there on, less only at the end of the file; Changed, or another OSError."""
        wanted = min(length, max(0, len(self) - offset))
        pieces = []
        while wanted:
            piece = self._read(offset, wanted)
            if not piece:
                raise Changed
            pieces.append(piece)
            offset, wanted = offset + len(piece), wanted - len(piece)
        self.check()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def check(self) -> None:
        """Changed, where it is not what it was."""
        if self._look() != self.stamp:
            raise Changed

    def _read(self, offset: int, length: int) -> bytes:
        if self._descriptor >= 0:
            return os.pread(self._descriptor, length, offset)
        self._file.seek(offset)
        return self._file.read(length)

    def _look(self) -> tuple[int, int, int, int]:
        """Device, inode, size and time of the last write; of what is no file its size alone."""
        if self._descriptor < 0:
            return 0, 0, self._file.seek(0, os.SEEK_END), 0
        told = os.fstat(self._descriptor)
        return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns
