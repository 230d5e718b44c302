"""Where the bytes of an image come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """One file of an image that is brought to hosts, and every place that is known to have its bytes."""

    name: str
    """The image; ``file:PATH`` for a file that a service takes from the fleet's folder."""
    part: str
    """kernel, initrd, disk, or content."""
    size: int
    """Bytes."""
    path: str = ""
    """The file, relative to the fleet's folder; empty if it is not there."""
    stored: bool = False
    """Whether the store of this machine has it."""
    host: str = ""
    """A host whose store has it; empty if it is nearer, or on none."""
    url: str = ""
    """The address that it can be fetched from; empty if the fleet file names none."""

    @property
    def is_available(self) -> bool:
        """Whether there is any place to get it from."""
        return bool(self.path or self.stored or self.host or self.url)

    def to_json(self) -> dict[str, Any]:
        """Its JSON form in the plan file: only the places that have it."""
        places = {"path": self.path, "stored": self.stored, "host": self.host, "url": self.url}
        return {
            "name": self.name,
            "part": self.part,
            "size": self.size,
            **{key: value for key, value in places.items() if value},
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "ImageSource":
        """The source that ``to_json`` wrote."""
        return cls(
            name=plain["name"],
            part=plain["part"],
            size=plain["size"],
            path=plain.get("path", ""),
            stored=plain.get("stored", False),
            host=plain.get("host", ""),
            url=plain.get("url", ""),
        )
