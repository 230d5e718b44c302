"""The messages of the wire protocol and their traits: the one table that both ends read.

The dispatcher on the host takes from it which handler to call and how; the control side takes from it what it may
send a second time. A new message is a row here and a handler.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable


class Message:
    """The traits of one message."""

    __slots__ = ("cancellable", "exclusive", "handler", "locked_keys", "needs_lease", "repeatable")

    def __init__(
        self,
        module: str,
        function: str,
        *,
        needs_lease: bool = False,
        exclusive: bool = False,
        cancellable: bool = False,
        repeatable: bool = False,
        locked_keys: Callable[[dict[str, Any]], Iterable[str]] | None = None,
    ):
        # A module below the package and a function in it, as text: imported with the first such request.
        self.handler = (module, function)
        # Only the holder of the fleet's lease may send it; its handler receives the store behind the lease's fence.
        self.needs_lease = needs_lease
        # One at a time in a conversation.
        self.exclusive = exclusive
        # Its handler looks for a cancellation. All others end by themselves, soon: a cancel is ignored.
        self.cancellable = cancellable
        # Sending it twice does no harm, so it is sent again after the connection broke.
        self.repeatable = repeatable
        # What a request changes: two requests that share a key take turns.
        self.locked_keys = locked_keys or _no_keys


def _no_keys(_request: dict[str, Any]) -> Iterable[str]:
    return ()


def _launched_keys(request: dict[str, Any]) -> Iterable[str]:
    return [f"{document['name']}.{document['generation']}" for document in request["instances"]]


def _instance_key(request: dict[str, Any]) -> Iterable[str]:
    return [str(request["key"])]


def _image_digest(request: dict[str, Any]) -> Iterable[str]:
    return [str(request["digest"])]


MESSAGES = {
    "survey": Message("handlers.survey", "survey", repeatable=True),
    # A lease that was lost is taken again by the channel itself, which then compares the tokens.
    "lease": Message("handlers.lease", "acquire", exclusive=True, cancellable=True),
    "release": Message("handlers.lease", "release"),
    "end-holder": Message("handlers.lease", "end_holder"),
    "stage": Message(
        "handlers.images", "stage", needs_lease=True, cancellable=True, repeatable=True, locked_keys=_image_digest
    ),
    # The bytes would come twice.
    "read": Message("handlers.images", "read"),
    "volume": Message("handlers.volumes", "change_volume", needs_lease=True, exclusive=True, repeatable=True),
    "launch": Message("handlers.launch", "launch", needs_lease=True, repeatable=True, locked_keys=_launched_keys),
    "set-marks": Message("handlers.marks", "set_marks", needs_lease=True, repeatable=True, locked_keys=_instance_key),
    "await-healthy": Message("handlers.health", "await_healthy", cancellable=True, repeatable=True),
    "check-health": Message("handlers.health", "check_health", cancellable=True, repeatable=True),
    "apply-ingress": Message(
        "handlers.ingress", "apply_config", needs_lease=True, exclusive=True, cancellable=True, repeatable=True
    ),
    "ingress-config": Message("handlers.ingress", "read_config"),
    "retire": Message("handlers.retire", "retire", needs_lease=True, repeatable=True, locked_keys=_instance_key),
    # The text would come twice.
    "logs": Message("handlers.logs", "tail", cancellable=True),
    # The ledger would have two entries.
    "append-ledger": Message("handlers.ledger", "append", needs_lease=True, exclusive=True),
    "read-ledger": Message("handlers.ledger", "read"),
    "record-applied": Message("handlers.ledger", "record_applied", needs_lease=True, exclusive=True, repeatable=True),
    "collect-garbage": Message("handlers.garbage", "collect", needs_lease=True, exclusive=True, repeatable=True),
    "inventory": Message("handlers.inventory", "list_inventory", repeatable=True),
}
