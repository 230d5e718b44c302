"""A problem found in a Fleet: by path, since a Fleet holds no places; ``declaration`` gives it a place. Pure."""

from dataclasses import dataclass

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.place import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem at ``path``.

    ``about_key``: the key is meant rather than its value. ``related`` are paths of what else belongs to it.
    ``relies`` are further paths the judgement rests on: where one of them could not be read, the finding is
    a mere consequence and is not told.
    """

    path: Path
    code: str
    text: str
    hint: str = ""
    detail: str = ""
    severity: Severity = Severity.ERROR
    about_key: bool = False
    related: tuple[Path, ...] = ()
    relies: tuple[Path, ...] = ()


Findings = tuple[Finding, ...]
