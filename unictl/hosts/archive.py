"""The host side as bytes: every module of ``unictl.onhost`` in one zip, the same bytes for the same sources.

It is compressed as a whole, not file by file: that is smaller and takes half the time. The zip also holds the
compiled form of the modules that the first requests need, which saves a host with the same Python half of its
start time (20 ms); any other Python reads the sources.
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
FIRST = (
    "dispatcher",
    "handlers",
    "handlers.survey",
    "hypervisors",
    "hypervisors.qemu",
    "hypervisors.qemu.accelerator",
    "images",
    "images.integrity",
    "images.retention",
    "instances",
    "instances.claims",
    "instances.instance_state",
    "instances.record_file",
    "instances.retired_records",
    "instances.run_log",
    "lease",
    "lease.lease_holder",
    "platform",
    "platform.own_code",
    "platform.privileges",
    "platform.processes",
    "platform.programs",
    "platform.selinux",
    "platform.sockets",
    "protocol",
    "protocol.frames",
    "protocol.request_context",
    "storage",
    "storage.apply_records",
    "storage.fleet_names",
    "storage.guarded_read",
    "storage.layout",
    "storage.locks",
    "survey",
    "survey.capabilities",
    "survey.instance_row",
    "survey.other_stores",
    "systemd",
    "systemd.units",
)
"""What a survey loads, by a path below the package; a test holds this list."""
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
            module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            wanted = path.suffix == ".py" and (near or module in FIRST)
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
