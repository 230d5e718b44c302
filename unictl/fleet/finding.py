"""A problem found in a Fleet: by path, since a Fleet holds no places; ``declaration`` gives it a place. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.place import Path
from unictl.fleet.names import closest, there_are


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem at ``path``.

    ``about_key``: the key is meant rather than its value. ``related`` are paths of what else belongs to it.
    ``instead`` is what is shown where ``path`` is not written, but at its default.
    ``relies`` are further paths the judgement rests on: where one of them could not be read, the finding is
    a mere consequence and is not told. ``among`` is the section in which a name was looked for in vain: where
    that section is not known in full, nothing is told either.
    """

    path: Path
    code: str
    text: str
    hint: str = ""
    detail: str = ""
    severity: Severity = Severity.ERROR
    about_key: bool = False
    related: tuple[Path, ...] = ()
    instead: Path = ()
    relies: tuple[Path, ...] = ()
    among: str = ""


Findings = tuple[Finding, ...]


def unknown(path: Path, what: str, name: str, known: Iterable[str], *, among: str = "") -> Finding:
    """There is no ``what`` called ``name``; the nearest of ``known``, or what there is, as hint."""
    known = tuple(known)
    near = closest(name, known)
    hint = f"Did you mean {near}?" if near else there_are(known) or f"No {what} is declared."
    section = among or f"{what}s"
    return Finding(path=path, code=f"unknown-{what}", text=f"there is no {what} {name!r}", hint=hint, among=section)
