"""What lies in the store of a host: its images and volumes, and who needs them.

A module of its own: only the commands that list stores pay for loading it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUser:
    """An instance that runs from an image."""

    owner: str
    """The fleet it belongs to, which may be another one."""
    key: str
    """The instance's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainedRevision:
    """A revision that an image is retained for."""

    owner: str
    """The fleet that was applied."""
    revision: str
    """The commit that was applied; empty if the fleet was in no repository."""
    at: float | None
    """When it was applied, in seconds of the host's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image in the store of a host."""

    digest: str
    """Its SHA-256, which is its name."""
    size: int
    """Bytes that are there."""
    state: str
    """``whole``, ``damaged``, ``partial``, or ``coming`` while it is being uploaded."""
    used: tuple[ImageUser, ...]
    """The instances of every fleet that run from it."""
    kept: tuple[RetainedRevision, ...]
    """The revisions of every fleet that it is retained for."""

    @property
    def owners(self) -> frozenset[str]:
        """The fleets that use or retain it."""
        users = {user.owner for user in self.used}
        return frozenset(users | {revision.owner for revision in self.kept})

    def to_json(self) -> dict[str, Any]:
        """The plain form, as documents for users have it."""
        return {
            "digest": self.digest,
            "size": self.size,
            "used": [{"owner": user.owner, "key": user.key} for user in self.used],
            "kept": [{"owner": kept.owner, "revision": kept.revision, "at": kept.at} for kept in self.kept],
            "state": self.state,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVolume:
    """A volume of the fleet in the store of a host."""

    name: str
    """``data-api-2``."""
    size: int
    """Bytes it may hold."""
    allocated: int
    """Bytes its disk gave it."""
    used_by: str
    """The key of the instance whose record names it; empty if there is none."""
    running: bool
    """A process has it open."""

    def to_json(self) -> dict[str, Any]:
        """The plain form, as documents for users have it."""
        return {
            "name": self.name,
            "size": self.size,
            "allocated": self.allocated,
            "used_by": self.used_by,
            "running": self.running,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInventory:
    """What lies in the store of a host."""

    images: tuple[StoredImage, ...]
    """Every image, whoever uses it."""
    volumes: tuple[StoredVolume, ...]
    """The volumes of the fleet that was asked for."""
    disk_free: int
    """Bytes free on the disk of the store."""


def decode_inventory(reply: Mapping[str, Any]) -> StoreInventory:
    """The store of one host."""
    return StoreInventory(
        images=tuple(_decode_image(row) for row in reply["images"]),
        volumes=tuple(StoredVolume(**row) for row in reply["volumes"]),
        disk_free=reply["disk_free"],
    )


def _decode_image(row: Mapping[str, Any]) -> StoredImage:
    used = tuple(ImageUser(**user) for user in row["used"])
    kept = tuple(RetainedRevision(**revision) for revision in row["kept"])
    return StoredImage(**{**row, "used": used, "kept": kept})
