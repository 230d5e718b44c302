"""Globs over the paths of a directory: ``*`` and ``?`` within one name, ``**`` across directories. Pure; reads no
disk.
"""

import re
from collections.abc import Iterable


def match_paths(glob: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of ``paths`` that ``glob`` matches, sorted. As in a shell, names with a dot in front must be asked for."""
    pattern = re.compile(_regular_expression(glob.removeprefix("./")))
    return tuple(sorted(path for path in paths if pattern.fullmatch(path)))


def _regular_expression(glob: str) -> str:
    parts: list[str] = []
    for part in glob.split("/"):
        if part == "**":
            parts.append(r"(?:(?!\.)[^/]+/)*")
        else:
            dot_guard = "" if part.startswith(".") else r"(?!\.)"
            parts.append(dot_guard + "".join(map(_translate_character, part)) + "/")
    pattern = "".join(parts)
    return pattern.removesuffix("/") if not glob.endswith("**") else pattern + r"(?!\.)[^/]+"


def _translate_character(letter: str) -> str:
    return {"*": "[^/]*", "?": "[^/]"}.get(letter) or re.escape(letter)
