"""The code of the host side itself: the zip it runs from, and its digest, by which a supervisor of other code is
recognised.
"""

from __future__ import annotations

import os
import sys

from ..protocol import frames
from ..storage import guarded_read, layout

PACKAGE = __name__[: __name__.index("onhost")] + "onhost"
"""The name of the host side's package: ``onhost`` where it runs from its zip, ``unictl.onhost`` in a checkout."""
_NAME = "/code"
"""In a keeper's folder: the digest of what it runs."""
_DIGEST: list[str] = []
_COMPILED: list[bytes] = []
_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)
"""The rest of a compiled file's head: valid without looking at a source."""


def place() -> str:
    """The path of the zip; empty where this runs from a folder."""
    if PACKAGE != "onhost":
        return ""
    return next(place for place in sys.path if place.startswith("/proc/self/fd/") or place.endswith(".zip"))


def data() -> bytes:
    """Its bytes."""
    return guarded_read.read_bytes(place()) or b""


def digest() -> str:
    """Their SHA-256 as they came; empty where this runs from a folder."""
    if not _DIGEST:
        _DIGEST.append(_named() or _hashed())
    return _DIGEST[0]


def _named() -> str:
    """The digest in the name under which a host keeps its own code: what it compiled is in there as well."""
    name = os.path.basename(place())[: -len(".zip")]
    return name if place().endswith(".zip") and len(name) == 64 else ""


def _hashed() -> str:
    import hashlib

    return hashlib.sha256(data()).hexdigest() if place() else ""


def compiled() -> bytes:
    """The zip with each module also compiled by this very Python: what starts from it begins in half the time (30 ms
    of 50). Another Python, after an upgrade of the host, reads the sources."""
    if not _COMPILED:
        import importlib.util
        import io
        import marshal
        import zipfile

        head = importlib.util.MAGIC_NUMBER + _UNCHECKED
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data())) as came, zipfile.ZipFile(out, "w") as made:
            for entry in [entry for entry in came.infolist() if not entry.filename.endswith(".pyc")]:
                text = came.read(entry)
                made.writestr(entry, text)
                if entry.filename.endswith(".py"):
                    program = compile(text, entry.filename, "exec", dont_inherit=True, optimize=2)
                    made.writestr(zipfile.ZipInfo(entry.filename + "c"), head + marshal.dumps(program))
        _COMPILED.append(out.getvalue())
    return _COMPILED[0]


def note(folder: str) -> None:
    """Let others know what code the keeper of this folder runs."""
    if not digest():
        return
    try:
        layout.write_plain(folder + _NAME, digest().encode(), sync=False)
    except frames.Problem:
        # On a full disk it counts as of other code, and is asked to change at the next contact.
        layout.remove_file(folder + _NAME)


def current(folder: str) -> bool:
    """Whether the keeper of this folder runs this very code."""
    return not digest() or (guarded_read.read_bytes(folder + _NAME) or b"").decode("ascii", "replace") == digest()


def handed() -> tuple[int, str]:
    """A descriptor of it to hand down, and what to look for behind that: empty for the zip itself, or a folder."""
    if place():
        return os.dup(int(place().rsplit("/", 1)[1])), ""
    folder = os.path.abspath(__file__)
    for _ in __name__.split("."):
        folder = os.path.dirname(folder)
    return os.open(folder, os.O_RDONLY | os.O_CLOEXEC), folder
