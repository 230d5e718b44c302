"""A place in a file: path, line and column. Values only; reads no file."""

from dataclasses import dataclass

DocumentPath = tuple[str | int, ...]
"""A way into a document: keys of maps and indices of lists, e.g. ``("services", "api", "ports")``."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A span in a file. Lines and columns count from 1; ``end_column`` is exclusive."""

    file: str
    line: int
    column: int
    end_column: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"
