"""Atomic writes and removals, and operating system errors as ``HostError``.

Any instant may be the last one: a file is written aside, synced and renamed, and its directory is synced. Nothing
here checks a lease; ``fenced_store`` does.
"""

from __future__ import annotations

import errno
import os
import threading

from .. import errors
from ..protocol import frames
from . import guarded_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable


def make_dirs(path: str, mode: int = 0o711) -> None:
    """Make a folder and its parents. 0711: unprivileged hypervisors pass through, nobody lists."""
    if os.path.isdir(path):
        return
    make_dirs(os.path.dirname(path), mode)
    try:
        os.mkdir(path, mode)
        os.chmod(path, mode)
    except FileExistsError:
        return
    except OSError as error:
        raise from_os_error(error, path) from error


def sync_directory(path: str) -> None:
    """Make what was renamed or created in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_in_place(path: str, data: bytes, mode: int = 0o644, sync: bool = True) -> None:
    """Write a file in place; for folders that are themselves written aside."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)
            frames.write_all(descriptor, data)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise from_os_error(error, path) from error


def write(path: str, data: bytes, mode: int = 0o644, rename: Callable[[str, str], None] = os.rename) -> None:
    """Replace a file by ``data``: aside, fsync, rename, fsync of the folder. A reader sees the old or the new one."""
    directory, name = os.path.split(path)
    aside = f"{directory}/.new-{name}-{os.getpid()}-{threading.get_ident()}"
    try:
        write_in_place(aside, data, mode)
        rename(aside, path)
        sync_directory(directory)
    except OSError as error:
        raise from_os_error(error, path) from error
    finally:
        remove_file(aside)


def append(path: str, line: bytes, sync: bool = False) -> int:
    """Add a line to a file that only grows, never behind half a line of an earlier one; the file's size before."""
    descriptor = guarded_read.open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        frames.write_all(descriptor, (b"\n" if torn else b"") + line + b"\n")
        if sync:
            os.fsync(descriptor)
        return size
    finally:
        os.close(descriptor)


def write_cache(path: str, data: bytes) -> None:
    """Write what can be found out again: a full disk is no reason to fail, nor what else lies there."""
    guarded_read.read_or_note(None, write, path, data)


def write_once(path: str, data: bytes) -> None:
    """Write a file unless it is there; of two at once, one wins and both read the same."""
    aside = f"{os.path.dirname(path)}/.new-{os.path.basename(path)}-{os.getpid()}-{threading.get_ident()}"
    write_in_place(aside, data)
    try:
        os.link(aside, path)
        sync_directory(os.path.dirname(path))
    except FileExistsError:
        pass
    except OSError as error:
        raise from_os_error(error, path) from error
    finally:
        remove_file(aside)


def remove_file(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def remove_tree(path: str) -> None:
    """Remove a folder with all in it, never following a link; gone already is fine."""
    try:
        entries = list(os.scandir(path))
    except FileNotFoundError:
        return
    except NotADirectoryError:
        remove_file(path)
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(entry.path)
        else:
            remove_file(entry.path)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return


def remove_atomically(path: str) -> None:
    """Remove a folder so that no half of it is ever seen: rename to ``.gone-``, then unlink."""
    directory, name = os.path.split(path)
    hidden = f"{directory}/.gone-{name}"
    remove_tree(hidden)
    try:
        os.rename(path, hidden)
    except FileNotFoundError:
        return
    remove_tree(hidden)


def free_bytes(path: str) -> int:
    """Bytes an unprivileged writer may still use on the file system of ``path`` (or of its nearest parent)."""
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    stats = os.statvfs(path)
    return stats.f_bavail * stats.f_frsize


def from_os_error(error: OSError, path: str | None = None) -> errors.HostError:
    """An operating system error as a sentence that says what to do."""
    location = str(error.filename2 or error.filename or path or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        available = free_bytes(location) if location else 0
        return errors.HostError(
            "no-room",
            f"no room left on the host to write {location}: {available} bytes are free there",
            "free some space, or give the host another `root:`; what was begun is swept by the next apply",
            path=location,
            errno=error.errno,
        )
    hint = ""
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = f"user {os.geteuid()} may not do that: set `become: true` for the host, or give it another `root:`"
    elif error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST, errno.ENXIO):
        hint = f"something else lies there: {guarded_read.MOVE_AWAY_HINT}"
    elif error.errno == errno.EROFS:
        hint = "the file system is read-only: check the host's disk"
    return errors.HostError("failed", f"{location}: {error.strerror}", hint, path=location, errno=error.errno)


def sync_filesystem(path: str) -> bool:
    """One ``syncfs``; False where it cannot be called, or failed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        import ctypes

        return int(ctypes.CDLL(None).syncfs(descriptor)) == 0
    except (ImportError, OSError, AttributeError):
        return False
    finally:
        os.close(descriptor)
