"""Globs over the paths of a directory: ``*`` and ``?`` within one name, ``**`` across directories. Pure; reads no
disk.
"""

import re
from collections.abc import Iterable


def matching(glob: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of ``paths`` that ``glob`` matches, sorted. As in a shell, names with a dot in front must be asked for."""
    form = re.compile(_form(glob.removeprefix("./")))
    return tuple(sorted(path for path in paths if form.fullmatch(path)))


def _form(glob: str) -> str:
    parts: list[str] = []
    for part in glob.split("/"):
        if part == "**":
            parts.append(r"(?:(?!\.)[^/]+/)*")
        else:
            hidden = "" if part.startswith(".") else r"(?!\.)"
            parts.append(hidden + "".join(map(_letter, part)) + "/")
    form = "".join(parts)
    return form.removesuffix("/") if not glob.endswith("**") else form + r"(?!\.)[^/]+"


def _letter(letter: str) -> str:
    return {"*": "[^/]*", "?": "[^/]"}.get(letter) or re.escape(letter)
