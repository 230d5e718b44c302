"""The code of the host side itself: the zip it runs from, and its digest, by which a supervisor of other code is
recognised.
"""

from __future__ import annotations

import os
import sys

from .. import errors
from ..storage import atomic, guarded_read

PACKAGE = __name__[: __name__.index("onhost")] + "onhost"
"""The name of the host side's package: ``onhost`` where it runs from its zip, ``unictl.onhost`` in a checkout."""
_DIGEST_FILE = "/code"
"""In a supervisor's folder: the digest of what it runs."""
_DIGEST_CACHE: list[str] = []
_COMPILED_CACHE: list[bytes] = []
_UNCHECKED_HEADER = (1).to_bytes(4, "little") + bytes(8)
"""The rest of a compiled file's head: valid without looking at a source."""


def zip_path() -> str:
    """The path of the zip; empty where this runs from a folder."""
    if PACKAGE != "onhost":
        return ""
    return next(entry for entry in sys.path if entry.startswith("/proc/self/fd/") or entry.endswith(".zip"))


def zip_bytes() -> bytes:
    """Its bytes."""
    return guarded_read.read_bytes(zip_path()) or b""


def digest() -> str:
    """Their SHA-256 as they came; empty where this runs from a folder."""
    if not _DIGEST_CACHE:
        _DIGEST_CACHE.append(_digest_of_name() or _digest_of_bytes())
    return _DIGEST_CACHE[0]


def _digest_of_name() -> str:
    """The digest in the name under which a host keeps its own code: what it compiled is in there as well."""
    name = os.path.basename(zip_path())[: -len(".zip")]
    return name if zip_path().endswith(".zip") and len(name) == 64 else ""


def _digest_of_bytes() -> str:
    import hashlib

    return hashlib.sha256(zip_bytes()).hexdigest() if zip_path() else ""


def compiled_zip() -> bytes:
    """The zip with each module also compiled by this very Python: what starts from it begins in half the time (30 ms
    of 50). Another Python, after an upgrade of the host, reads the sources."""
    if not _COMPILED_CACHE:
        import importlib.util
        import io
        import marshal
        import zipfile

        header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HEADER
        output = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(zip_bytes())) as source, zipfile.ZipFile(output, "w") as target:
            for entry in [entry for entry in source.infolist() if not entry.filename.endswith(".pyc")]:
                content = source.read(entry)
                target.writestr(entry, content)
                if entry.filename.endswith(".py"):
                    code = compile(content, entry.filename, "exec", dont_inherit=True, optimize=2)
                    target.writestr(zipfile.ZipInfo(entry.filename + "c"), header + marshal.dumps(code))
        _COMPILED_CACHE.append(output.getvalue())
    return _COMPILED_CACHE[0]


def write_digest(directory: str) -> None:
    """Let others know what code the supervisor of this folder runs."""
    if not digest():
        return
    try:
        atomic.write_in_place(directory + _DIGEST_FILE, digest().encode(), sync=False)
    except errors.HostError:
        # On a full disk it counts as of other code, and is asked to change at the next contact.
        atomic.remove_file(directory + _DIGEST_FILE)


def is_current(directory: str) -> bool:
    """Whether the supervisor of this folder runs this very code."""
    return (
        not digest()
        or (guarded_read.read_bytes(directory + _DIGEST_FILE) or b"").decode("ascii", "replace") == digest()
    )


def open_for_child() -> tuple[int, str]:
    """A descriptor of it to hand down, and what to look for behind that: empty for the zip itself, or a folder."""
    if zip_path():
        return os.dup(int(zip_path().rsplit("/", 1)[1])), ""
    directory = os.path.abspath(__file__)
    for _ in __name__.split("."):
        directory = os.path.dirname(directory)
    return os.open(directory, os.O_RDONLY | os.O_CLOEXEC), directory
