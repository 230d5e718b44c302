"""Hosts in `status` and `locks`: a row each, and a sentence for everything unusual. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from unictl.views.text.fold import natural
from unictl.views.text.layout import clean, counted, some
from unictl.views.text.units import age, amount

Document = Mapping[str, Any]

HEAD = ("HOST", "STATE", "ACCELERATOR", "USED", "FREE", "SUPERVISION")
LITTLE = 16 << 20
"""Bytes of disk below which the next apply may fail to write its records."""
_INGRESS = {
    "dead": "its ingress has ended{since}: endpoints and published ports are closed",
    "foreign": "its ingress has ended{since}, and another program listens on one of its ports",
}


def row(host: Document) -> tuple[str, ...]:
    """The cells of one host; ``USED`` is what this fleet's instances take of its memory."""
    if not host.get("reachable", True):
        return (_name(host), "unreachable", "-", "-", "-", "-")
    return (
        _name(host),
        "reachable",
        accelerator(host.get("accelerator")),
        amount(_memory(host.get("used"))),
        amount(_memory(host.get("free"))),
        clean(str(host.get("supervision") or "-")),
    )


def accelerator(told: Any) -> str:
    """``tcg (max), 147 M loops/s``: what guests run under, the processor they see, how fast the probe guest counted."""
    if not isinstance(told, Mapping):
        return clean(str(told or "-"))
    name, cpu, speed = (told.get(key) for key in ("accel", "cpu", "loops_per_second"))
    shown = f"{name} ({cpu})" if cpu else str(name or "-")
    if isinstance(speed, int | float) and speed >= 1e6:
        shown += f", {speed / 1e6:.0f} M loops/s"
    return clean(shown)


_FACTS = frozenset(("low-ports", "selinux"))
"""What is worth knowing of a host, and no lack to most fleets."""


def sentences(hosts: Iterable[Document]) -> list[tuple[str, str]]:
    """(style, sentence): who is at work, what does not run, what a host lacks; equal ones of several hosts are one."""
    told: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        for found in _told(host):
            told.setdefault(found, []).append(_name(host))
    return [
        (style, f"{some(sorted(names, key=natural), 5)}: {clean(sentence)}.")
        for (style, sentence), names in told.items()
    ]


def _told(host: Document) -> Iterable[tuple[str, str]]:
    if not host.get("reachable", True):
        hint = f" ({host['hint']})" if host.get("hint") else ""
        yield "error", str(host.get("why") or "it could not be asked").rstrip(".") + hint
        return
    if host.get("lease"):
        yield "bold", holder(host)
    ingress = host.get("ingress")
    if isinstance(ingress, Mapping):
        yield from _ingress(ingress, host.get("clock"))
    free = host.get("free")
    room = free.get("disk") if isinstance(free, Mapping) else None
    if isinstance(room, int) and room < LITTLE:
        yield "error", f"its disk is full: {amount(room)} are free where the store is (free some space there)"
    for lack in host.get("capabilities") or ():
        hint = f" ({lack['hint']})" if lack.get("hint") else ""
        style = "dim" if lack.get("code") in _FACTS else "warning"
        yield style, f"{lack.get('text', lack.get('code'))}{hint}"


def _ingress(told: Document, now: Any) -> Iterable[tuple[str, str]]:
    if told.get("state") in _INGRESS:
        remedy = "its keeper starts it again" if told.get("restarting") else "`unictl apply` starts it again"
        why = f" (the last try: {told['why']})" if told.get("why") else ""
        since = age(now, told.get("ended"))
        yield "error", f"{_INGRESS[told['state']].format(since=f' {since} ago' if since else '')}; {remedy}{why}"
    elif told.get("ends"):
        since, ended = age(now, told.get("since")), age(now, told.get("ended"))
        times = counted(int(told["ends"]), "time") + (f", last {ended} ago," if ended else "")
        runs = f"; what runs now was started {since} ago" if since else ""
        yield "warning", f"its ingress ended by itself {times} and was started again{runs}"


def holder(host: Document) -> str:
    """Who holds the lease there, in words; ``free`` where nobody does."""
    lease = host.get("lease")
    if not host.get("reachable", True):
        return f"unknown: {clean(str(host.get('why') or 'it could not be asked'))}"
    if not lease:
        return "free"
    if not isinstance(lease, Mapping):
        return clean(str(lease))
    if isinstance(lease.get("holder"), Mapping):
        lease = {**lease["holder"], **lease}
    return clean(_holder(lease, age(host.get("clock"), lease.get("since"))))


def _holder(lease: Document, since: str) -> str:
    """``ann@desk holds the lease for 3 min: apply of revision 3f2a9c1d (process 71)``."""
    text = f"{lease.get('user') or 'somebody'} holds the lease{f' for {since}' if since else ''}"
    text += f": {lease.get('doing') or 'at work'}"
    text += f" of revision {str(lease['revision'])[:8]}" if lease.get("revision") else ""
    text += f" (process {lease['pid']})" if lease.get("pid") else ""
    stopped = "; that process is stopped and does not go on by itself"
    return text + (stopped if lease.get("process") == "T" else "")


def _name(host: Document) -> str:
    return clean(str(host.get("name", "")))


def _memory(told: Any) -> Any:
    return told.get("memory") if isinstance(told, Mapping) else told
