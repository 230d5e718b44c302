"""What differs and what is done about it: one Change for each instance, volume or ingress.

Reason codes are stable because machines read them. They explain a change; no code may decide by them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from unictl.diagnostics.place import DocumentPath
from unictl.instances.desired.instance import PlacedInstance
from unictl.instances.observed.host_state import LiveInstance


class Action(Enum):
    """What a plan does about one thing."""

    KEEP = "keep"
    CREATE = "create"
    REPLACE = "replace"
    DESTROY = "destroy"
    MOVE = "move"
    ADJUST = "adjust"
    UNKNOWN = "unknown"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that differs, e.g. path ``args[0]``, old ``--greeting=hi``, new ``--greeting=ho``."""

    path: str
    old: object
    new: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row of a plan.

    ``subject`` is an instance (``api-2``), ``haproxy_config``, ``volume:NAME`` or ``marks:api-2``; ``order`` is
    ``create-first`` or ``stop-first`` for a replacement or move, with ``order_reason`` in words;
    ``origin`` the path in the fleet file that caused it; ``to_host`` differs from ``host`` only in a move.
    """

    action: Action
    subject: str
    reason: str
    host: str = ""
    to_host: str = ""
    service: str = ""
    fields: tuple[Field, ...] = ()
    order: str = ""
    order_reason: str = ""
    detail: str = ""
    origin: DocumentPath = ()
    old: LiveInstance | None = None
    new: PlacedInstance | None = None

    @property
    def symbol(self) -> str:
        """The row's mark."""
        if self.action in (Action.REPLACE, Action.MOVE):
            return "-/+" if self.order == "stop-first" else "+/-"
        return _SYMBOLS[self.action]


_SYMBOLS: Mapping[Action, str] = {
    Action.KEEP: " ",
    Action.CREATE: "+",
    Action.DESTROY: "-",
    Action.ADJUST: "~",
    Action.UNKNOWN: "?",
    Action.HELD: "=",
}
