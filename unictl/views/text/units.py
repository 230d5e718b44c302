"""Ages and sizes in short form: `3 min`, `5.2 GiB`. Pure: both times are passed in."""

from typing import Any

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_SIZES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def age(current_time: Any, since: Any) -> str:
    """``3 min``: the seconds from ``since`` to ``current_time``, rounded down to one unit; empty where either is
    unknown.
    """
    if not all(isinstance(moment, int | float) and moment > 0 for moment in (current_time, since)):
        return ""
    seconds = max(0, int(current_time - since))
    for size, unit in _UNITS:
        if seconds >= 2 * size or (seconds >= size and unit != "d"):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def byte_size(size: Any) -> str:
    """``5.2 GiB``: about so many bytes; ``-`` where it is unknown."""
    if not isinstance(size, int) or isinstance(size, bool):
        return "-"
    for unit, name in _SIZES:
        if size >= unit:
            short = size / unit
            return f"{short:.1f} {name}" if short < 10 and size % unit else f"{short:.0f} {name}"
    return f"{size} B"
