"""Identifiers of a host: SHA-256 of names, names of run directories, and the id of the current boot."""

from __future__ import annotations

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Protocol

    class Digest(Protocol):
        """The digest of hashlib, or of the module behind it."""

        def hexdigest(self) -> str: ...


def _sha256() -> Callable[[bytes], Digest]:
    """The interpreter's own SHA-256: no OpenSSL to load (3 ms) where only names are hashed."""
    for module in ("_sha2", "_sha256", "hashlib"):
        try:
            sha256: Callable[[bytes], Digest] = __import__(module).sha256
            return sha256
        except ImportError:
            continue
    raise errors.HostError(
        "unsupported", "this python3 has no SHA-256", "install the whole python3 package on the host"
    )


_SHA256_CACHE: list[Callable[[bytes], Digest]] = []


def run_dir_name(owner: str, key: str = "") -> str:
    """The 16 hex digits that name a run folder: of an instance, or (no key) of the fleet's supervisor."""
    return sha256_hex(f"{owner}/{key}".encode())[:16]


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of a few bytes, in hex."""
    if not _SHA256_CACHE:
        _SHA256_CACHE.append(_sha256())
    return _SHA256_CACHE[0](data).hexdigest()


_BOOT_ID_CACHE: list[str] = []


def boot_id() -> str:
    """The kernel's random id of this boot."""
    if not _BOOT_ID_CACHE:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            _BOOT_ID_CACHE.append(file.read().strip())
    return _BOOT_ID_CACHE[0]


def set_boot_id(hex_digits: str) -> None:
    """Take the boot's id from somebody who can see it, as 32 hex digits."""
    _BOOT_ID_CACHE[:] = [
        f"{hex_digits[:8]}-{hex_digits[8:12]}-{hex_digits[12:16]}-{hex_digits[16:20]}-{hex_digits[20:]}"
    ]
