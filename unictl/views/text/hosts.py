"""Hosts in `status` and `locks`: a row each, and a sentence for everything unusual. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from unictl.views.text.layout import abbreviate, count_of, sanitize
from unictl.views.text.sorting import natural_key
from unictl.views.text.units import age, byte_size

Document = Mapping[str, Any]

HEADER = ("HOST", "STATE", "ACCELERATOR", "USED", "FREE", "SUPERVISION")
LOW_DISK_BYTES = 16 << 20
"""Bytes of disk below which the next apply may fail to write its records."""
_INGRESS = {
    "dead": "its ingress has ended{since}: endpoints and published ports are closed",
    "foreign": "its ingress has ended{since}, and another program listens on one of its ports",
}


def host_cells(host: Document) -> tuple[str, ...]:
    """The cells of one host; ``USED`` is what this fleet's instances take of its memory."""
    if not host.get("reachable", True):
        return (_host_name(host), "unreachable", "-", "-", "-", "-")
    return (
        _host_name(host),
        "reachable",
        accelerator_text(host.get("accelerator")),
        byte_size(_memory_of(host.get("used"))),
        byte_size(_memory_of(host.get("free"))),
        sanitize(str(host.get("supervision") or "-")),
    )


def accelerator_text(description: Any) -> str:
    """``tcg (max), 147 M loops/s``: what guests run under, the processor they see, how fast the probe guest counted."""
    if not isinstance(description, Mapping):
        return sanitize(str(description or "-"))
    name, cpu, speed = (description.get(key) for key in ("accel", "cpu", "loops_per_second"))
    shown = f"{name} ({cpu})" if cpu else str(name or "-")
    if isinstance(speed, int | float) and speed >= 1e6:
        shown += f", {speed / 1e6:.0f} M loops/s"
    return sanitize(shown)


_INFORMATIONAL = frozenset(("low-ports", "selinux"))
"""What is worth knowing of a host, and no lack to most fleets."""


def anomaly_sentences(hosts: Iterable[Document]) -> list[tuple[str, str]]:
    """(style, sentence): who is at work, what does not run, what a host lacks; equal ones of several hosts are one."""
    hosts_by_sentence: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        for styled_sentence in _host_sentences(host):
            hosts_by_sentence.setdefault(styled_sentence, []).append(_host_name(host))
    return [
        (style, f"{abbreviate(sorted(names, key=natural_key), 5)}: {sanitize(sentence)}.")
        for (style, sentence), names in hosts_by_sentence.items()
    ]


def _host_sentences(host: Document) -> Iterable[tuple[str, str]]:
    if not host.get("reachable", True):
        hint = f" ({host['hint']})" if host.get("hint") else ""
        yield "error", str(host.get("why") or "it could not be asked").rstrip(".") + hint
        return
    if host.get("lease"):
        yield "bold", lease_text(host)
    ingress = host.get("ingress")
    if isinstance(ingress, Mapping):
        yield from _ingress_sentences(ingress, host.get("clock"))
    free = host.get("free")
    room = free.get("disk") if isinstance(free, Mapping) else None
    if isinstance(room, int) and room < LOW_DISK_BYTES:
        yield "error", f"its disk is full: {byte_size(room)} are free where the store is (free some space there)"
    for lack in host.get("capabilities") or ():
        hint = f" ({lack['hint']})" if lack.get("hint") else ""
        style = "dim" if lack.get("code") in _INFORMATIONAL else "warning"
        yield style, f"{lack.get('text', lack.get('code'))}{hint}"


def _ingress_sentences(ingress: Document, current_time: Any) -> Iterable[tuple[str, str]]:
    if ingress.get("state") in _INGRESS:
        remedy = "its supervisor starts it again" if ingress.get("restarting") else "`unictl apply` starts it again"
        last_try = f" (the last try: {ingress['why']})" if ingress.get("why") else ""
        since = age(current_time, ingress.get("ended"))
        yield (
            "error",
            f"{_INGRESS[ingress['state']].format(since=f' {since} ago' if since else '')}; {remedy}{last_try}",
        )
    elif ingress.get("ends"):
        since, ended_ago = age(current_time, ingress.get("since")), age(current_time, ingress.get("ended"))
        times = count_of(int(ingress["ends"]), "time") + (f", last {ended_ago} ago," if ended_ago else "")
        runs = f"; what runs now was started {since} ago" if since else ""
        yield "warning", f"its ingress ended by itself {times} and was started again{runs}"


def lease_text(host: Document) -> str:
    """Who holds the lease there, in words; ``free`` where nobody does."""
    lease = host.get("lease")
    if not host.get("reachable", True):
        return f"unknown: {sanitize(str(host.get('why') or 'it could not be asked'))}"
    if not lease:
        return "free"
    if not isinstance(lease, Mapping):
        return sanitize(str(lease))
    if isinstance(lease.get("holder"), Mapping):
        lease = {**lease["holder"], **lease}
    return sanitize(_lease_sentence(lease, age(host.get("clock"), lease.get("since"))))


def _lease_sentence(lease: Document, since: str) -> str:
    """``ann@desk holds the lease for 3 min: apply of revision 3f2a9c1d (process 71)``."""
    text = f"{lease.get('user') or 'somebody'} holds the lease{f' for {since}' if since else ''}"
    text += f": {lease.get('doing') or 'at work'}"
    text += f" of revision {str(lease['revision'])[:8]}" if lease.get("revision") else ""
    text += f" (process {lease['pid']})" if lease.get("pid") else ""
    stopped = "; that process is stopped and does not go on by itself"
    return text + (stopped if lease.get("process") == "T" else "")


def _host_name(host: Document) -> str:
    return sanitize(str(host.get("name", "")))


def _memory_of(amounts: Any) -> Any:
    return amounts.get("memory") if isinstance(amounts, Mapping) else amounts
