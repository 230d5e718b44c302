"""The failures that a host reports: what it could not do, and what it refused because somebody else holds it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from unictl.diagnostics.failure import Failure, Locked, Refused

Document = Mapping[str, Any]


class HostFailure(Failure):
    """What a host could not do. ``kind`` is one of ``onhost.errors.ERROR_KINDS``."""

    def __init__(self, host: str, kind: str, text: str, hint: str = "", path: str = ""):
        super().__init__(f"host {host}: {text}", hint=hint)
        self.host = host
        self.kind = kind
        self.text = text
        self.path = path


class HostBusyFailure(HostFailure, Locked):
    """Somebody else holds the lease there."""

    code: ClassVar[int] = Locked.code


class HostTakenFailure(HostFailure, Refused):
    """A port, volume or memory is held by somebody else there."""

    code: ClassVar[int] = Refused.code


def failure_from_problem(host: str, document: Document) -> HostFailure:
    """A problem document of the host side (a reply's, or an outcome's) as a Failure."""
    kind = str(document["kind"])
    failure_class = {"busy": HostBusyFailure, "taken": HostTakenFailure}.get(kind, HostFailure)
    return failure_class(
        host, kind, str(document["text"]), str(document.get("hint", "")), str(document.get("path") or "")
    )
