"""Fencing for leases.

A holder that was stopped while another one took the lease must not write when it resumes. Every write locks the
token
file shared and compares the token; taking the lease locks it exclusively and raises the token. So a write of an
earlier
holder happens before that, or never.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time

from ..protocol import frames
from . import guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

PASSING = 1.0
"""Seconds that one change may take until whoever waits to raise the token ends its writer: it is stopped within it."""
FREED = 5.0
"""Seconds in which the locks of an ended holder come free: its last helper command ends."""
_SHARED = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)


class Passing:
    """One change on its way, as a ``with`` block: until its end nobody raises the token."""

    def __init__(self, descriptor: int = -1):
        self._descriptor = descriptor

    def __enter__(self) -> None:
        """Nothing more to look at: that it is made says that the token is right."""

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


class Fence:
    """Where no lease is needed: who looks after what runs (keepers, start programs) may write at any time."""

    def passing(self) -> Passing:
        """Enter with a change; a ``lost-lease`` Problem where that is too late."""
        return Passing()


class Token(Fence):
    """The fence of one acquisition of a fleet's lease."""

    def __init__(self, owner: str, path: str, token: int):
        self.owner = owner
        self.token = token
        self.closed = False
        self._path = path

    def passing(self) -> Passing:
        """See :meth:`Fence.passing`."""
        descriptor = self._shared()
        there = b"" if descriptor < 0 else os.pread(descriptor, 64, 0)
        if there == str(self.token).encode() and not self.closed:
            return Passing(descriptor)
        if descriptor >= 0:
            os.close(descriptor)
        raise self._lost(there)

    def _shared(self) -> int:
        """The token's file, locked for reading; -1 where it is gone. One that was replaced meanwhile is opened anew."""
        while True:
            try:
                descriptor = guarded_read.plain(self._path)
            except FileNotFoundError:
                return -1
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, _SHARED)
            if locks.is_path(descriptor, self._path):
                return descriptor
            os.close(descriptor)

    def _lost(self, there: bytes) -> frames.Problem:
        now = f"its token is {there.decode('ascii', 'replace')} now" if there else "its token is gone"
        if there == str(self.token).encode():
            now = "it was given back here"
        return frames.Problem(
            "lost-lease",
            f"the lease of fleet {self.owner}, held here under token {self.token}, was given to another: {now}",
            "nothing more was written; look at `unictl locks`, then run the same command again",
        )


def raised(path: str, end: Callable[[], bool]) -> int:
    """The next token, in force from now on. ``end`` ends the holder before, if that one is stopped within a change."""
    alone = _alone(path, end)
    try:
        token = _next(path)
        _write(path, str(token).encode())
    finally:
        os.close(alone)
    return token


def _alone(path: str, end: Callable[[], bool]) -> int:
    deadline, ended = time.monotonic() + PASSING, False
    while True:
        descriptor = locks.take(path, mode=0o644)
        if descriptor is not None:
            return descriptor
        if time.monotonic() > deadline:
            if ended or not end():
                raise frames.Problem(
                    "busy", f"a process that held the lease before is stopped while it writes ({path})", "end it there"
                )
            ended, deadline = True, time.monotonic() + FREED
        time.sleep(0.005)


def _next(path: str) -> int:
    try:
        return int(guarded_read.read_bytes(path) or b"0") + 1
    except ValueError:
        # A damaged counter must not bar the fleet for good; the clock is above any count of acquisitions.
        return int(time.time())


def _write(path: str, text: bytes) -> None:
    """On a full disk in place, which needs no room. Who takes the lease then is about to make some."""
    try:
        layout.write_atomic(path, text)
    except frames.Problem as problem:
        if problem.kind != "no-room" or not os.path.getsize(path):
            raise
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, text, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
