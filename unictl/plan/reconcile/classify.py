"""Classifies a live instance against its desired instance (the classes of the crash table). Pure.

Instances of other fleets have no class: they are claims on their host.
"""

from enum import Enum

from unictl.instances.observed.host_state import LiveInstance


class Class(Enum):
    """A live instance next to a wished one; the last five need no live instance, or no wish."""

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


WISHED = frozenset((Class.UNTAINTED, Class.UNSUPERVISED, Class.UNPROVEN))
"""What may stay as it is."""
RUNNING = WISHED | {Class.CHANGED, Class.MISPLACED}
"""What has a guest that runs (or a job that is done)."""


def running(live: LiveInstance) -> bool:
    """Whether a guest runs, or its supervisor is about to start it again (as systemd does after a reboot)."""
    return live.state in ("running", "unsupervised", "starting") or (
        live.state == "ended" and bool((live.end or {}).get("restarting"))
    )


def serving(live: LiveInstance) -> bool:
    """Whether an ingress may send to it: it runs, and has passed its gate."""
    return live.proven and running(live)


def state_class(live: LiveInstance) -> str:
    """``running``, ``ended`` or the state itself: what a plan rests on, without health and restarts."""
    return "running" if running(live) else live.state


def classify(live: LiveInstance, *, host: str, differs: bool, done: bool = False) -> Class:
    """The class of ``live``: ``host`` is where it is wished, ``differs`` whether it would be launched differently.

    ``done``: a clean end is what its service is for (a job), or is idleness (started on request).
    """
    if not running(live) and not (done and _ended_well(live)):
        return _stopped(live)
    if differs:
        return Class.CHANGED
    if live.host != host:
        return Class.MISPLACED
    if not live.proven and running(live):
        return Class.UNPROVEN
    return Class.UNSUPERVISED if live.state == "unsupervised" else Class.UNTAINTED


def _ended_well(live: LiveInstance) -> bool:
    return live.state == "ended" and (live.end or {}).get("verdict") in ("clean", "stopped")


def _stopped(live: LiveInstance) -> Class:
    by_state = {"begun": Class.BEGUN, "lost": Class.LOST, "leaving": Class.LEAVING, "damaged": Class.DAMAGED}
    return by_state.get(live.state, Class.CRASHED)


def ended(live: LiveInstance) -> str:
    """How it ended, in words: ``crash, code 3``."""
    end = live.end or {}
    code = f", code {end['code']}" if end.get("code") is not None else ""
    reason = f" ({end['reason']})" if end.get("reason") else ""
    return f"{end.get('verdict') or 'unknown'}{code}{reason}"
