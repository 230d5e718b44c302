"""A finding: one problem at a path of the fleet.

A Fleet holds no places, so the finding is resolved to a file and line later. Pure.
"""

from dataclasses import dataclass

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.place import DocumentPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem at ``path``.

    ``at_key``: the key is meant rather than its value. ``related`` are paths of what else belongs to it.
    ``fallback_path`` is what is shown where ``path`` is not written, but at its default. ``depends_on`` are further
    paths the judgement rests on: where one of them could not be read, the finding is a mere consequence and is not
    told. ``searched_section`` is the section in which a name was looked for in vain: where that section is not known in
    full, nothing is told either.
    """

    path: DocumentPath
    code: str
    summary: str
    hint: str = ""
    detail: str = ""
    severity: Severity = Severity.ERROR
    at_key: bool = False
    related: tuple[DocumentPath, ...] = ()
    fallback_path: DocumentPath = ()
    depends_on: tuple[DocumentPath, ...] = ()
    searched_section: str = ""


Findings = tuple[Finding, ...]
