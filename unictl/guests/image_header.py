"""What an image file's headers show: the evidence from which each guest family recognises its own files. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from unictl.guests import elf
from unictl.guests.elf import Buffer, ElfHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """One file as far as its headers go; nothing in it can be trusted."""

    # One of `image_facts.FILE_KINDS`.
    kind: str
    # What its notes say in words: `linux.version`, `xen.guest`, `solo5.target`, `unictl`.
    notes: Mapping[str, str]
    # The file's bytes, for what only one family looks for.
    buffer: Buffer
    # Its ELF header; None where it is no ELF.
    elf: ElfHeader | None = None

    def interpreter(self) -> str:
        """The program that an ELF names to load it; empty without one."""
        return elf.read_interpreter(self.buffer, self.elf) if self.elf else ""

    def section_names(self) -> frozenset[str]:
        """The names of an ELF's sections; empty where it is stripped of them."""
        return elf.read_section_names(self.buffer, self.elf) if self.elf else frozenset()
