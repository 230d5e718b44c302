"""The local image store: images by digest on this machine, fetched, read from a revision or copied from a host. A
cache.

A file is complete or absent: bytes are renamed to their digest once they have it. Anything may be deleted at any
time.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 20 << 30
"""Bytes that are kept; what was longest not used goes first."""
_CHUNK_SIZE = 1 << 20


def default_store_directory(environment: Mapping[str, str]) -> Path:
    """Where the store lies for this user: ``$XDG_CACHE_HOME/unictl/images``."""
    cache = environment.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = str(Path(environment.get("HOME") or "/") / ".cache")
    return Path(cache) / "unictl" / "images"


class LocalStore:
    """The content store in ``folder``, which need not exist yet."""

    def __init__(self, folder: Path):
        self.folder = folder

    def find(self, digest: str) -> Path | None:
        """The file of an image, where it is here and its bytes are what its name says."""
        path = self.folder / digest
        if not path.is_file():
            return None
        if file_sha256(path) != digest:
            path.unlink(missing_ok=True)
            return None
        os.utime(path)
        return path

    def put(self, digest: str, data: bytes) -> Path:
        """Keep bytes that are at hand; they have this digest."""
        with self.open_partial(digest) as file:
            file.truncate(0)
            file.write(data)
            file.flush()
            return self.adopt(digest)

    @contextmanager
    def open_partial(self, digest: str) -> Iterator[BinaryIO]:
        """What is here of an image so far, to be continued at its end; one process at a time has it. OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._partial_path(digest)
        while True:
            with path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                # Who had it before us may have finished it: the file that we hold has another name then.
                if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    yield file
                    return

    def adopt(self, digest: str) -> Path:
        """Give the partial its name; its bytes were checked."""
        path = self.folder / digest
        partial = self._partial_path(digest)
        partial.chmod(0o444)
        partial.replace(path)
        self.prune()
        return path

    def prune(self, bound: int = MAX_BYTES) -> None:
        """Let go of what was longest not used, until the rest fits the bound."""
        files = sorted(self.folder.glob("[0-9a-f]*"), key=lambda path: -path.stat().st_mtime)
        remaining_bytes = bound
        for index, path in enumerate(files):
            remaining_bytes -= path.stat().st_size
            if remaining_bytes < 0 and index:
                path.unlink(missing_ok=True)

    def _partial_path(self, digest: str) -> Path:
        return self.folder / f".partial-{digest}"


def file_sha256(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
