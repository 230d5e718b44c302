"""Reads a file that somebody else may write to: all bytes come from one state of the file, or reading fails.

The file is not mapped into memory: if a mapped file is truncated, the process that reads it is killed.
"""

import errno
import os
from io import UnsupportedOperation
from typing import BinaryIO

CHUNK_SIZE = 1 << 20


class FileChanged(OSError):
    """The file was written to, or cut short, between two looks at it."""

    def __init__(self) -> None:
        super().__init__(errno.ESTALE, "it was changed while it was read")


class StableReader:
    """The bytes of an open file by offset, as long as it stays what it was when this was made."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.name = str(getattr(file, "name", "the file"))
        try:
            self._descriptor = file.fileno()
        except UnsupportedOperation:
            self._descriptor = -1
        self.stamp = self._read_stamp()

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
        remaining = min(length, max(0, len(self) - offset))
        chunks = []
        while remaining:
            chunk = self._read(offset, remaining)
            if not chunk:
                raise FileChanged
            chunks.append(chunk)
            offset, remaining = offset + len(chunk), remaining - len(chunk)
        self.verify_unchanged()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def verify_unchanged(self) -> None:
        """Changed, where it is not what it was."""
        if self._read_stamp() != self.stamp:
            raise FileChanged

    def _read(self, offset: int, length: int) -> bytes:
        if self._descriptor >= 0:
            return os.pread(self._descriptor, length, offset)
        self._file.seek(offset)
        return self._file.read(length)

    def _read_stamp(self) -> tuple[int, int, int, int]:
        """Device, inode, size and time of the last write; of what is no file its size alone."""
        if self._descriptor < 0:
            return 0, 0, self._file.seek(0, os.SEEK_END), 0
        status = os.fstat(self._descriptor)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
