"""The one call into this room: texts of fleet files -> Fleet, problems and places."""

from collections.abc import Mapping
from dataclasses import dataclass

from unictl.diagnostics.diagnostic import Problems
from unictl.diagnostics.place import Path, Place
from unictl.fleet.model import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of loading. ``fleet`` is None exactly when ``problems`` holds an error.

    ``places`` maps a path of the *merged* tree to where it was written, e.g. ``("services", "api", "args", 0)``;
    ``files`` are the files that were read, in order.
    """

    fleet: Fleet | None
    problems: Problems
    places: Mapping[Path, Place]
    files: tuple[str, ...]
