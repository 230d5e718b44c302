"""Classifies a live instance against its desired instance (the classes of the crash table). Pure.

Instances of other fleets have no class: they are claims on their host.
"""

from enum import Enum

from unictl.instances.observed.host_state import LiveInstance


class InstanceClass(Enum):
    """A live instance next to a desired one; the last five need no live or no desired instance."""

    UNTAINTED = "untainted"
    UNSUPERVISED = "unsupervised"
    UNPROVEN = "unproven"
    CHANGED = "changed"
    MISPLACED = "misplaced"
    BEGUN = "begun"
    LOST = "lost"
    CRASHED = "crashed"
    LEAVING = "leaving"
    DAMAGED = "damaged"
    TWIN = "twin"
    SURPLUS = "surplus"
    ABSENT = "absent"
    UNKNOWN = "unknown"


AS_DESIRED = frozenset((InstanceClass.UNTAINTED, InstanceClass.UNSUPERVISED, InstanceClass.UNPROVEN))
"""What may stay as it is."""
RUNNING = AS_DESIRED | {InstanceClass.CHANGED, InstanceClass.MISPLACED}
"""What has a guest that runs (or a job that is done)."""


def is_running(live: LiveInstance) -> bool:
    """Whether a guest runs, or its supervisor is about to start it again (as systemd does after a reboot)."""
    return live.state in ("running", "unsupervised", "starting") or (
        live.state == "ended" and bool((live.end or {}).get("restarting"))
    )


def is_serving(live: LiveInstance) -> bool:
    """Whether an ingress may send to it: it runs, and has passed its gate."""
    return live.proven and is_running(live)


def state_class(live: LiveInstance) -> str:
    """``is_running``, ``describe_end`` or the state itself: what a plan rests on, without health and restarts."""
    return "running" if is_running(live) else live.state


def classify(live: LiveInstance, *, host: str, differs: bool, clean_exit_expected: bool = False) -> InstanceClass:
    """The class of ``live``: ``host`` is where it is desired, ``differs`` whether it would be launched differently.

    ``clean_exit_expected``: a clean end is what its service is for (a job), or is idleness (started on request).
    """
    if not is_running(live) and not (clean_exit_expected and _exited_successfully(live)):
        return _stopped_class(live)
    if differs:
        return InstanceClass.CHANGED
    if live.host != host:
        return InstanceClass.MISPLACED
    if not live.proven and is_running(live):
        return InstanceClass.UNPROVEN
    return InstanceClass.UNSUPERVISED if live.state == "unsupervised" else InstanceClass.UNTAINTED


def _exited_successfully(live: LiveInstance) -> bool:
    return live.state == "ended" and (live.end or {}).get("verdict") in ("clean", "stopped")


def _stopped_class(live: LiveInstance) -> InstanceClass:
    by_state = {
        "begun": InstanceClass.BEGUN,
        "lost": InstanceClass.LOST,
        "leaving": InstanceClass.LEAVING,
        "damaged": InstanceClass.DAMAGED,
    }
    return by_state.get(live.state, InstanceClass.CRASHED)


def describe_end(live: LiveInstance) -> str:
    """How it ended, in words: ``crash, code 3``."""
    end = live.end or {}
    code = f", code {end['code']}" if end.get("code") is not None else ""
    reason = f" ({end['reason']})" if end.get("reason") else ""
    return f"{end.get('verdict') or 'unknown'}{code}{reason}"
