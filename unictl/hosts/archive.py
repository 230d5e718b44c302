"""The host side as bytes: every module of ``unictl.onhost`` in one zip, the same bytes for the same sources.

It is compressed as a whole, not file by file: that is smaller, and takes half the time.
Beside the sources of what the first requests need lies their compiled form, which saves a host with the same Python
half of its start (20 ms); any other Python reads the sources.
"""

import hashlib
import importlib.util
import py_compile
import zipfile
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path

import unictl.onhost

_EPOCH = (1980, 1, 1, 0, 0, 0)
_FIRST = (
    "__init__",
    "accelerator",
    "applies",
    "call",
    "claims",
    "elsewhere",
    "facts",
    "holders",
    "intact",
    "kept",
    "lacking",
    "listening",
    "lives",
    "locks",
    "names",
    "privilege",
    "processes",
    "programs",
    "reading",
    "records",
    "retired",
    "rows",
    "sealed",
    "selinux",
    "serve",
    "survey",
    "units",
    "wire",
)
"""What a survey loads."""
_SHIPPED = ("*.py", "probe.elf")
_LEVEL = 3
"""Of compression: what a higher one saves on the line it takes here."""
_STRIPPED = 2
"""Compiled without docstrings."""
_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)
"""The rest of a compiled file's head: valid without looking at a source."""


@cache
def packed(near: bool = False) -> tuple[bytes, str]:
    """The compressed zip and its SHA-256; made once per process. ``near``: no network lies between, so its size is no
    matter."""
    data = zlib.compress(pack(Path(next(iter(unictl.onhost.__path__))), near), 0 if near else _LEVEL)
    return data, hashlib.sha256(data).hexdigest()


def pack(folder: Path, near: bool = False) -> bytes:
    """The zip of a folder: fixed order, times and modes. ``near``: all of it compiled too."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(path for pattern in _SHIPPED for path in folder.rglob(pattern)):
            name = path.relative_to(folder).as_posix()
            _add(archive, name, path.read_bytes())
            wanted = path.suffix == ".py" and (near or name.removesuffix(".py") in _FIRST)
            if wanted and (code := _compiled(path)):
                _add(archive, name + "c", code)
    return out.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo("onhost/" + name, _EPOCH)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def _compiled(path: Path) -> bytes:
    """The compiled module from Python's own cache, which is filled as an import would; empty where it cannot be."""
    cached = Path(importlib.util.cache_from_source(str(path), optimization=_STRIPPED))
    try:
        if not _fresh(path, cached):
            py_compile.compile(str(path), doraise=True, optimize=_STRIPPED)
        data = cached.read_bytes()
    except (OSError, py_compile.PyCompileError):
        return b""
    return data[:4] + _UNCHECKED + data[16:]


def _fresh(path: Path, cached: Path) -> bool:
    """Whether the cache is of this very source."""
    there = path.stat()
    made = int(there.st_mtime).to_bytes(4, "little") + (there.st_size & 0xFFFFFFFF).to_bytes(4, "little")
    try:
        with cached.open("rb") as file:
            return file.read(16) == importlib.util.MAGIC_NUMBER + bytes(4) + made
    except FileNotFoundError:
        return False
