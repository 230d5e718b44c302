"""The host side as bytes: every module of ``unictl.onhost`` in one zip, the same bytes for the same sources."""

import hashlib
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path

import unictl.onhost

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SHIPPED = ("*.py", "probe.elf")


@cache
def packed() -> tuple[bytes, str]:
    """The zip and its SHA-256; made once per process."""
    data = pack(Path(next(iter(unictl.onhost.__path__))))
    return data, hashlib.sha256(data).hexdigest()


def pack(folder: Path) -> bytes:
    """The zip of a folder: fixed order, times and modes."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(path for pattern in _SHIPPED for path in folder.glob(pattern)):
            entry = zipfile.ZipInfo("onhost/" + path.name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return out.getvalue()
