"""A finding: one problem at a path of the fleet.

A Fleet holds no places, so the finding is resolved to a file and line later. Pure.
"""

from dataclasses import dataclass

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.place import Path


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
