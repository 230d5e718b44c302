"""Facts read from an image file's bytes. ``fleet.lock`` stores them, so that planning needs no image. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NotRequired, TypedDict

FILE_KINDS = ("elf32", "elf64", "bzimage", "disk", "qcow2", "cpio", "gzip", "unknown")
BOOT_PROTOCOLS = ("pvh", "multiboot", "linux", "bios")


class ImageFactsRow(TypedDict):
    """ImageFacts as ``fleet.lock`` holds them: without what is at its default."""

    sha256: str
    size: int
    kind: NotRequired[str]
    protocols: NotRequired[list[str]]
    notes: NotRequired[dict[str, str]]
    family: NotRequired[str]
    address_flag: NotRequired[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """One file of an image. ``size`` in bytes.

    ``kind`` is one of KINDS, ``protocols`` the boot protocols of PROTOCOLS that the file offers, ``notes`` what it
    says in words (``linux.version``, ``solo5.target``), ``family`` a guess that only warns (empty: none),
    ``address_flag`` whether a multiboot header gives load addresses, without which QEMU refuses a 64-bit ELF.
    """

    sha256: str
    size: int
    kind: str = "unknown"
    protocols: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    family: str = ""
    address_flag: bool = False

    def to_json(self) -> ImageFactsRow:
        """The plain form, with defaults left out; ``from_json`` reads it."""
        plain: ImageFactsRow = {"sha256": self.sha256, "size": self.size}
        if self.kind != "unknown":
            plain["kind"] = self.kind
        if self.protocols:
            plain["protocols"] = list(self.protocols)
        if self.notes:
            plain["notes"] = dict(sorted(self.notes.items()))
        if self.family:
            plain["family"] = self.family
        if self.address_flag:
            plain["address_flag"] = True
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "ImageFacts":
        """The facts written by ``to_json``; unknown keys are ignored (a newer unictl may know more)."""
        values = {fact_field.name: plain[fact_field.name] for fact_field in fields(cls) if fact_field.name in plain}
        values["protocols"] = tuple(plain.get("protocols", ()))
        values["notes"] = dict(plain.get("notes", {}))
        return cls(**values)
