"""File locks that live exactly as long as a process (OFD locks): inherited by children, and testable without taking
them.

The hypervisor inherits ``alive`` and the ``lock`` of its volumes: these locks outlive the process that started it
and are released even by kill -9. Leases and the host lock are held by the host side itself. Nothing here unlinks a
locked file: that would allow two holders.
"""

from __future__ import annotations

import fcntl
import os
import struct

from . import guarded_read

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""


def _whole_file(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)


def take(path: str, wait: bool = False, mode: int = 0o600) -> int | None:
    """A write lock on a file (made when missing): its descriptor, or None where somebody holds it.

    The inode is compared after locking: a file that was replaced meanwhile is no lock.
    """
    command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
    while True:
        descriptor = guarded_read.open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode)
        try:
            fcntl.fcntl(descriptor, command, _whole_file(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        if is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)


def is_locked(path: str) -> bool:
    """Whether some process holds the lock on a file; nothing is taken by asking. A ``damaged`` Problem where something
    else than a file lies there: nobody knows then."""
    try:
        descriptor = guarded_read.open_regular(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
    finally:
        os.close(descriptor)
    return int(_FLOCK.unpack(answer)[0]) != fcntl.F_UNLCK


class LockGuard:
    """A lock as a ``with`` block: waits for it, frees it at the end."""

    def __init__(self, path: str):
        self.path = path
        self.descriptor = -1

    def __enter__(self) -> LockGuard:
        descriptor = take(self.path, wait=True)
        assert descriptor is not None
        self.descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def is_same_file(descriptor: int, path: str) -> bool:
    """Whether an open file is the one at the path."""
    try:
        path_stat = os.stat(path)
    except FileNotFoundError:
        return False
    open_stat = os.fstat(descriptor)
    return (path_stat.st_dev, path_stat.st_ino) == (open_stat.st_dev, open_stat.st_ino)
