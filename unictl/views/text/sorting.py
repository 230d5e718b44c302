"""Natural sort order: `api-2` before `api-10`. Pure."""

import re
from functools import lru_cache

_DIGITS = re.compile(r"(\d+)")


@lru_cache(maxsize=1 << 12)
def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """A sort key by which ``api-2`` comes before ``api-10``."""
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(text))
