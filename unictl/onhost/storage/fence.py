"""Fencing for leases.

A holder that was stopped while another one took the lease must not write when it resumes. Every write locks the
token file shared and compares the token; taking the lease locks it exclusively and raises the token. So a write of
an earlier holder happens before that, or never.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time

from .. import errors
from . import atomic, guarded_read, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

WRITE_TIMEOUT = 1.0
"""Seconds that one change may take until whoever waits to raise the token ends its writer: it is stopped within it."""
RELEASE_TIMEOUT = 5.0
"""Seconds in which the locks of an ended holder come free: its last helper command ends."""
_SHARED_LOCK = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)


class FenceGuard:
    """One change on its way, as a ``with`` block: until its end nobody raises the token."""

    def __init__(self, descriptor: int = -1):
        self._descriptor = descriptor

    def __enter__(self) -> None:
        """Nothing more to look at: that it is made says that the token is right."""

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


class Fence:
    """Where no lease is needed: who looks after what runs (supervisors, start programs) may write at any time."""

    def enter(self) -> FenceGuard:
        """Enter with a change; a ``lost-lease`` Problem where that is too late."""
        return FenceGuard()


class LeaseFence(Fence):
    """The fence of one acquisition of a fleet's lease."""

    def __init__(self, owner: str, path: str, token: int):
        self.owner = owner
        self.token = token
        self.closed = False
        self._path = path

    def enter(self) -> FenceGuard:
        """See :meth:`Fence.enter`."""
        descriptor = self._lock_shared()
        current = b"" if descriptor < 0 else os.pread(descriptor, 64, 0)
        if current == str(self.token).encode() and not self.closed:
            return FenceGuard(descriptor)
        if descriptor >= 0:
            os.close(descriptor)
        raise self._lost_error(current)

    def _lock_shared(self) -> int:
        """The token's file, locked for reading; -1 where it is gone. One that was replaced meanwhile is opened anew."""
        while True:
            try:
                descriptor = guarded_read.open_regular(self._path)
            except FileNotFoundError:
                return -1
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, _SHARED_LOCK)
            if locks.is_same_file(descriptor, self._path):
                return descriptor
            os.close(descriptor)

    def _lost_error(self, current: bytes) -> errors.HostError:
        state = f"its token is {current.decode('ascii', 'replace')} now" if current else "its token is gone"
        if current == str(self.token).encode():
            state = "it was given back here"
        return errors.HostError(
            "lost-lease",
            f"the lease of fleet {self.owner}, held here under token {self.token}, was given to another: {state}",
            "nothing more was written; look at `unictl locks`, then run the same command again",
        )


def advance_token(path: str, end_holder: Callable[[], bool]) -> int:
    """The next token, in force from now on.

    ``end_holder`` ends the holder before, if that one is stopped within a change.
    """
    descriptor = _lock_exclusively(path, end_holder)
    try:
        token = _next_token(path)
        _write_token(path, str(token).encode())
    finally:
        os.close(descriptor)
    return token


def _lock_exclusively(path: str, end_holder: Callable[[], bool]) -> int:
    deadline, ended = time.monotonic() + WRITE_TIMEOUT, False
    while True:
        descriptor = locks.take(path, mode=0o644)
        if descriptor is not None:
            return descriptor
        if time.monotonic() > deadline:
            if ended or not end_holder():
                raise errors.HostError(
                    "busy", f"a process that held the lease before is stopped while it writes ({path})", "end it there"
                )
            ended, deadline = True, time.monotonic() + RELEASE_TIMEOUT
        time.sleep(0.005)


def _next_token(path: str) -> int:
    try:
        return int(guarded_read.read_bytes(path) or b"0") + 1
    except ValueError:
        # A damaged counter must not bar the fleet for good; the clock is above any count of acquisitions.
        return int(time.time())


def _write_token(path: str, data: bytes) -> None:
    """On a full disk in place, which needs no room. Who takes the lease then is about to make some."""
    try:
        atomic.write(path, data)
    except errors.HostError as error:
        if error.kind != "no-room" or not os.path.getsize(path):
            raise
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, data, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
