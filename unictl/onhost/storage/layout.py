"""The layout of the store: where fleets, instances, volumes, images and run directories are, and which names are
valid.
"""

from __future__ import annotations

import errno
import os
import threading

from ..protocol import frames
from . import guarded_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

FORMAT = 1
"""The on-disk format this code writes; it reads every store whose ``readable_from`` is not above it."""
READABLE_FROM = 1
VERSION = "0.1.0"
"""The version of unictl that this is part of, for whom a newer store has to name what wrote it."""

_FORMAT = {"format": FORMAT, "readable_from": READABLE_FROM, "unictl": VERSION}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@+")
_HEX = frozenset("0123456789abcdef")


def part(text: str) -> str:
    """``text`` where it may be one part of a path; a Problem where it may not."""
    if not _is_part(text):
        raise frames.Problem("failed", f"{text!r} is no name that can stand in a path")
    return text


def _is_part(text: str) -> bool:
    return bool(text) and text[0] != "." and len(text) <= 200 and _PLAIN.issuperset(text)


def is_key(text: str) -> bool:
    """Whether it is called as instances are: ``api-2.7f3c9a1b``."""
    name, _, generation = text.partition(".")
    return _is_part(name) and name.rpartition("-")[2].isdigit() and bool(generation) and _HEX.issuperset(generation)


def digest(text: str) -> str:
    """``text`` where it is a SHA-256 in hex; a Problem where it is not."""
    if not is_digest(text):
        raise frames.Problem("failed", f"{text!r} is no SHA-256 digest")
    return text


def is_digest(text: str) -> bool:
    """Whether it is a SHA-256 in hex."""
    return len(text) == 64 and _HEX.issuperset(text)


def default_path() -> str:
    """Where the store lies when nobody said: the system's place as root, the user's own otherwise."""
    if os.geteuid() == 0:
        return "/var/lib/unictl"
    state = os.environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    if (state + "/").startswith("/tmp/"):
        raise frames.Problem(
            "unsupported",
            f"the state folder {state} lies under /tmp, which is emptied at boot",
            "set XDG_STATE_HOME elsewhere for this user, or give the host a `root:` in the fleet file",
            path=state,
        )
    return os.path.join(state, "unictl")


class Root:
    """The store of one host. Attributes and methods are paths; nothing is created by asking for one."""

    def __init__(self, path: str):
        self.path = path
        self.images = path + "/images"
        self.claims = path + "/claims"
        self.leases = path + "/leases"
        self.fleets = path + "/fleets"
        self.runs = path + "/run"
        self.host_lock = path + "/host.lock"

    def fleet(self, owner: str) -> str:
        """The folder of one fleet."""
        return self.fleets + "/" + part(owner)

    def instances(self, owner: str) -> str:
        """The folder of the fleet's live records."""
        return self.fleet(owner) + "/instances"

    def instance(self, owner: str, key: str) -> str:
        """The folder of one live record, ``api-2.7f3c9a1b``."""
        return self.instances(owner) + "/" + part(key)

    def keys(self, owner: str) -> list[str]:
        """The fleet's live records, by the names of their folders; what is called otherwise is none of ours."""
        return [name for name in names(self.instances(owner)) if is_key(name)]

    def retired(self, owner: str) -> str:
        """The folder of what was retired and is kept for looking back."""
        return self.fleet(owner) + "/retired"

    def volumes(self, owner: str) -> str:
        """The folder of the fleet's volumes."""
        return self.fleet(owner) + "/volumes"

    def volume(self, owner: str, name: str) -> str:
        """The folder of one volume; its bytes are ``data`` in it."""
        return self.volumes(owner) + "/" + part(name)

    def volume_names(self, owner: str) -> list[str]:
        """The fleet's volumes; what is no folder, or called otherwise, is none of ours."""
        folder = self.volumes(owner)
        return [name for name in names(folder) if _is_part(name) and os.path.isdir(f"{folder}/{name}")]

    def run(self, token: str) -> str:
        """The folder of sockets and locks of one instance: short, because socket paths are."""
        return self.runs + "/" + part(token)

    def owners(self) -> list[str]:
        """Every fleet that has a folder here; what cannot be one is somebody else's and in nobody's way."""
        return [name for name in names(self.fleets) if _is_part(name) and os.path.isdir(f"{self.fleets}/{name}")]

    def boot_id(self) -> str:
        """See :func:`boot_id`."""
        return boot_id()

    def host_id(self) -> str:
        """32 random hex digits, written once at first contact; a ``damaged`` Problem where they are not there."""
        path = self.path + "/host-id"
        told = (guarded_read.read_bytes(path) or b"").decode("ascii", "replace").strip()
        if len(told) != 32 or not _HEX.issuperset(told):
            text = f"{path} does not hold the id of this host any more, so nobody knows which host this is"
            hint = "write it back: `hosts.json` of any fleet on any of its hosts has it beside the host's name"
            raise frames.Problem("damaged", text, hint, path=path)
        return told

    def prepare(self) -> None:
        """Make the store where there is none; refuse one that a newer tool wrote, touching nothing."""
        self._check_format()
        if os.path.exists(self.path + "/host-id") and os.path.exists(self.path + "/format"):
            return
        for folder in (self.path, self.images, self.leases, self.fleets, self.runs):
            folders(folder)
        _once(self.path + "/host-id", os.urandom(16).hex().encode() + b"\n")
        _once(self.path + "/format", frames.encode(_FORMAT) + b"\n")

    def _check_format(self) -> None:
        path = self.path + "/format"
        try:
            told = guarded_read.read_object(path)
        except frames.Problem:
            told = {}
        if told is not None and not guarded_read.number(told.get("readable_from")):
            text = f"{path} does not say any more which unictl may read this store, so nothing is touched"
            hint = f"where no newer unictl wrote the store, write {frames.encode(_FORMAT).decode()} there"
            raise frames.Problem("damaged", text, hint, path=path)
        if told is not None and told["readable_from"] > FORMAT:
            raise newer(self.path, told)


def newer(path: str, told: dict[str, Any]) -> frames.Problem:
    """What is said of a store, or of something in it, that a newer unictl wrote so that this one cannot read it."""
    by = f"unictl {told['unictl']}" if told.get("unictl") else "a newer unictl"
    text = f"{path} was written by {by} in format {told.get('format')}, and this one ({VERSION}) reads up to {FORMAT}"
    return frames.Problem("newer-format", text, "upgrade unictl; nothing was touched", path=path)


def _sha256() -> Any:
    """The interpreter's own SHA-256: no OpenSSL to load (3 ms) where only names are hashed."""
    for module in ("_sha2", "_sha256", "hashlib"):
        try:
            return __import__(module).sha256
        except ImportError:
            continue
    raise frames.Problem("unsupported", "this python3 has no SHA-256", "install the whole python3 package on the host")


_HASH: list[Any] = []


def token(owner: str, key: str = "") -> str:
    """The 16 hex digits that name a run folder: of an instance, or (no key) of the fleet's keeper."""
    return hashed(f"{owner}/{key}".encode())[:16]


def hashed(data: bytes) -> str:
    """The SHA-256 of a few bytes, in hex."""
    if not _HASH:
        _HASH.append(_sha256())
    text: str = _HASH[0](data).hexdigest()
    return text


def names(folder: str) -> list[str]:
    """Sorted entries of a folder without the hidden ones; none where there is none. A ``damaged`` Problem where
    something else lies there: nobody knows what would be in it."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError:
        guarded_read.folder(folder)
        raise


def folders(path: str, mode: int = 0o711) -> None:
    """Make a folder and its parents. 0711: unprivileged hypervisors pass through, nobody lists."""
    if os.path.isdir(path):
        return
    folders(os.path.dirname(path), mode)
    try:
        os.mkdir(path, mode)
        os.chmod(path, mode)
    except FileExistsError:
        return
    except OSError as error:
        raise problem(error, path) from error


def sync_folder(path: str) -> None:
    """Make what was renamed or created in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_plain(path: str, data: bytes, mode: int = 0o644, sync: bool = True) -> None:
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
        raise problem(error, path) from error


def write_atomic(path: str, data: bytes, mode: int = 0o644, rename: Callable[[str, str], None] = os.rename) -> None:
    """Replace a file by ``data``: aside, fsync, rename, fsync of the folder. A reader sees the old or the new one."""
    folder, name = os.path.split(path)
    aside = f"{folder}/.new-{name}-{os.getpid()}-{threading.get_ident()}"
    try:
        write_plain(aside, data, mode)
        rename(aside, path)
        sync_folder(folder)
    except OSError as error:
        raise problem(error, path) from error
    finally:
        remove_file(aside)


def append(path: str, line: bytes, sync: bool = False) -> int:
    """Add a line to a file that only grows, never behind half a line of an earlier one; the file's size before."""
    descriptor = guarded_read.plain(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW)
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
    guarded_read.noted(None, write_atomic, path, data)


def _once(path: str, data: bytes) -> None:
    """Write a file unless it is there; of two at once, one wins and both read the same."""
    aside = f"{os.path.dirname(path)}/.new-{os.path.basename(path)}-{os.getpid()}-{threading.get_ident()}"
    write_plain(aside, data)
    try:
        os.link(aside, path)
        sync_folder(os.path.dirname(path))
    except FileExistsError:
        pass
    except OSError as error:
        raise problem(error, path) from error
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


def remove_aside(path: str) -> None:
    """Remove a folder so that no half of it is ever seen: rename to ``.gone-``, then unlink."""
    folder, name = os.path.split(path)
    gone = f"{folder}/.gone-{name}"
    remove_tree(gone)
    try:
        os.rename(path, gone)
    except FileNotFoundError:
        return
    remove_tree(gone)


_BOOT: list[str] = []


def boot_id() -> str:
    """The kernel's random id of this boot."""
    if not _BOOT:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            _BOOT.append(file.read().strip())
    return _BOOT[0]


def know_boot(digits: str) -> None:
    """Take the boot's id from somebody who can see it, as 32 hex digits."""
    _BOOT[:] = [f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"]


def free_bytes(path: str) -> int:
    """Bytes an unprivileged writer may still use on the file system of ``path`` (or of its nearest parent)."""
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    told = os.statvfs(path)
    return told.f_bavail * told.f_frsize


def problem(error: OSError, path: str | None = None) -> frames.Problem:
    """An operating system error as a sentence that says what to do."""
    where = str(error.filename2 or error.filename or path or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = free_bytes(where) if where else 0
        return frames.Problem(
            "no-room",
            f"no room left on the host to write {where}: {free} bytes are free there",
            "free some space, or give the host another `root:`; what was begun is swept by the next apply",
            path=where,
            errno=error.errno,
        )
    hint = ""
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = f"user {os.geteuid()} may not do that: set `become: true` for the host, or give it another `root:`"
    elif error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST, errno.ENXIO):
        hint = f"something else lies there: {guarded_read.AWAY}"
    elif error.errno == errno.EROFS:
        hint = "the file system is read-only: check the host's disk"
    return frames.Problem("failed", f"{where}: {error.strerror}", hint, path=where, errno=error.errno)
