"""Errors that the host side sends to the control side, and the end of a connection.

``HostError`` is the only error that crosses the wire: a kind from ``ERROR_KINDS``, a text (what is wrong) and a
hint (what to do). ``ConnectionClosed`` means that the other end closed the connection or was silent for too long.
"""

from __future__ import annotations

ERROR_KINDS = (
    "no-room",
    "no-image",
    "taken",
    "busy",
    "lost-lease",
    "not-found",
    "damaged",
    "unsupported",
    "failed",
    "cancelled",
    "newer-format",
    "renamed",
)


class HostError(Exception):
    """Something the control side tells its user: ``text`` says what is wrong, ``hint`` what to do."""

    def __init__(self, kind: str, text: str, hint: str = "", path: str | None = None, errno: int | None = None):
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.hint = hint
        self.path = path
        self.errno = errno

    def to_document(self) -> dict[str, str | int]:
        """The JSON form of a reply's ``problem``."""
        document: dict[str, str | int] = {"kind": self.kind, "text": self.text, "hint": self.hint}
        if self.path is not None:
            document["path"] = self.path
        if self.errno is not None:
            document["errno"] = self.errno
        return document


class ConnectionClosed(Exception):
    """The other end closed the conversation."""
