"""The host side as bytes: every module of ``unictl.onhost`` in one zip, the same bytes for the same sources.

It is compressed as a whole, not file by file: that is smaller and takes half the time. The zip also holds the
compiled form of the modules that the first requests need, which saves a host with the same Python half of its start
time (20 ms); any other Python reads the sources.
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

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
SURVEY_MODULES = (
    "dispatcher",
    "errors",
    "handlers",
    "handlers.survey",
    "hypervisors",
    "hypervisors.drivers",
    "hypervisors.qemu",
    "hypervisors.qemu.accelerator",
    "hypervisors.qemu.driver",
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
    "platform.privileges",
    "platform.processes",
    "platform.programs",
    "platform.selinux",
    "platform.sockets",
    "protocol",
    "protocol.frames",
    "protocol.messages",
    "protocol.request_context",
    "storage",
    "storage.apply_records",
    "storage.atomic",
    "storage.fleet_names",
    "storage.guarded_read",
    "storage.identifiers",
    "storage.layout",
    "storage.locks",
    "survey",
    "survey.capabilities",
    "survey.damage",
    "survey.host_facts",
    "survey.instance_row",
    "survey.other_stores",
    "systemd",
    "systemd.units",
)
"""What a survey loads, by a path below the package; a test holds this list."""
_FILE_PATTERNS = ("*.py", "probe.elf")
_COMPRESSION_LEVEL = 3
"""Of compression: what a higher one saves on the line it takes here."""
_OPTIMIZATION = 2
"""Compiled without docstrings."""
_UNCHECKED_HEADER = (1).to_bytes(4, "little") + bytes(8)
"""The rest of a compiled file's head: valid without looking at a source."""


@cache
def compressed_archive(is_local: bool = False) -> tuple[bytes, str]:
    """The compressed zip and its SHA-256; made once per process.

    ``is_local``: no network lies between, so its size is no matter.
    """
    data = zlib.compress(
        build_zip(Path(next(iter(unictl.onhost.__path__))), is_local), 0 if is_local else _COMPRESSION_LEVEL
    )
    return data, hashlib.sha256(data).hexdigest()


def build_zip(folder: Path, is_local: bool = False) -> bytes:
    """The zip of a folder: fixed order, times and modes. ``is_local``: all of it compiled too."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for pattern in _FILE_PATTERNS for path in folder.rglob(pattern)):
            name = path.relative_to(folder).as_posix()
            _add_file(archive, name, path.read_bytes())
            module_name = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            is_compiled = path.suffix == ".py" and (is_local or module_name in SURVEY_MODULES)
            if is_compiled and (code := _compiled_code(path)):
                _add_file(archive, name + "c", code)
    return buffer.getvalue()


def _add_file(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo("onhost/" + name, _FIXED_TIME)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def _compiled_code(path: Path) -> bytes:
    """The compiled module from Python's own cache, which is filled as an import would; empty where it cannot be."""
    cached = Path(importlib.util.cache_from_source(str(path), optimization=_OPTIMIZATION))
    try:
        if not _is_fresh(path, cached):
            py_compile.compile(str(path), doraise=True, optimize=_OPTIMIZATION)
        data = cached.read_bytes()
    except (OSError, py_compile.PyCompileError):
        return b""
    return data[:4] + _UNCHECKED_HEADER + data[16:]


def _is_fresh(path: Path, cached: Path) -> bool:
    """Whether the cache is of this very source."""
    source_status = path.stat()
    expected_stamp = int(source_status.st_mtime).to_bytes(4, "little") + (source_status.st_size & 0xFFFFFFFF).to_bytes(
        4, "little"
    )
    try:
        with cached.open("rb") as file:
            return file.read(16) == importlib.util.MAGIC_NUMBER + bytes(4) + expected_stamp
    except FileNotFoundError:
        return False
