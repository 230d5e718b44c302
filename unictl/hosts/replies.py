"""What hosts reply, as values. A survey is decoded in ``host_state``, an inventory in ``store_inventory``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unictl.hosts.host_failures import HostFailure, failure_from_problem

if TYPE_CHECKING:
    from unictl.journal.ledger_entry import LedgerEntry

Reply = Mapping[str, Any]

CONSOLE_SEPARATOR = ", its console last said:\n"
"""What the host side puts between why something is not healthy and what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOutcome:
    """What became of one instance of a launch."""

    key: str
    """The instance's key, ``api-2.7f3c9a1b``."""
    adopted: bool
    """It was running already."""
    failure: HostFailure | None
    """Why it does not run; None if it was started or adopted."""


def decode_launch(host: str, reply: Reply) -> list[LaunchOutcome]:
    """The outcomes of a launch on ``host``, in the order of the request."""
    return [_decode_outcome(host, outcome) for outcome in reply["outcomes"]]


def _decode_outcome(host: str, outcome: Reply) -> LaunchOutcome:
    failure = None if outcome["ok"] else failure_from_problem(host, outcome["problem"])
    return LaunchOutcome(key=outcome["key"], adopted=outcome["adopted"], failure=failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How an instance is."""

    healthy: bool
    """Every check passed; of a job: it exited successfully."""
    reason: str
    """What its checks said, or why it is not healthy."""
    console: str
    """The last lines of its console; empty if it is healthy or printed nothing."""
    took_ms: int
    """Milliseconds that a health gate took; 0 of one round of checks."""


def decode_health(reply: Reply) -> HealthReport:
    """The reply of a health gate, or of one round of checks."""
    reason, _, console = str(reply["why"]).partition(CONSOLE_SEPARATOR)
    return HealthReport(healthy=reply["healthy"], reason=reason, console=console, took_ms=reply.get("took", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressChange:
    """What became of a configuration that was to be put in force."""

    changed: bool
    """It was not in force before."""
    drained: bool
    """Every session with a server that left ended within the drain time."""


def decode_ingress_change(reply: Reply) -> IngressChange:
    """The reply to a new configuration."""
    return IngressChange(changed=reply["changed"], drained=reply["drained"])


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressConfig:
    """The configuration of a fleet's ingress in place on a host."""

    text: str
    """HAProxy's text without its servers; empty if there is none."""
    digest: str
    """The digest it is known by; empty if there is none."""


def decode_ingress_config(reply: Reply) -> IngressConfig:
    """The configuration in place."""
    return IngressConfig(text=reply["text"], digest=reply["hash"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedGarbage:
    """What a garbage collection removed."""

    images: tuple[str, ...]
    """Digests of images that nothing named any more."""
    retired: int
    """How many records of retired instances."""


def decode_garbage(reply: Reply) -> CollectedGarbage:
    """What was removed."""
    return CollectedGarbage(images=tuple(reply["images"]), retired=reply["retired"])


def decode_ledger(reply: Reply) -> "list[LedgerEntry]":
    """The entries of a ledger, oldest first. A ledger outlives the versions that wrote it: what is no entry is left
    out.
    """
    # Only here: an entry is about a plan, and a query that asks for none must not pay for loading it.
    from unictl.journal.ledger_entry import LedgerEntry

    entries = []
    for row in reply["entries"]:
        try:
            entries.append(LedgerEntry.from_json(row))
        except (TypeError, AttributeError):
            continue
    return entries
