"""The texts of files that were read, and single lines of them."""

import re
from collections.abc import Iterator, Mapping

from unictl.diagnostics.place import Place

# The line breaks of YAML; `str.splitlines` knows some that are none there.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class Sources(Mapping[str, str]):
    """Texts by file; each is split into lines once."""

    __slots__ = ("_lines", "_texts")

    def __init__(self, texts: Mapping[str, str]):
        self._texts = dict(texts)
        self._lines: dict[str, list[str]] = {}

    def __getitem__(self, file: str) -> str:
        return self._texts[file]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def line(self, place: Place | None) -> str:
        """The source line at ``place``; empty if there is none."""
        if place is None or place.file not in self._texts:
            return ""
        lines = self._lines.get(place.file)
        if lines is None:
            lines = self._lines[place.file] = _LINE_BREAK.split(self._texts[place.file])
        return lines[place.line - 1] if place.line <= len(lines) else ""
