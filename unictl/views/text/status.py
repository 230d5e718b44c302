"""Instances, leases and console lines as lines of spans. Pure: documents in, lines out.

The documents are those of `status -json` and `locks -json`. Times in them are the host's and are compared with the
host's own clock, which is in the document too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unictl.views.text import hosts as machines
from unictl.views.text.fold import natural
from unictl.views.text.layout import EMPTY, clean, counted, one, plain, some, table, wrap
from unictl.views.text.spans import Line, Span
from unictl.views.text.units import age

Document = Mapping[str, Any]

_STYLES = {
    "healthy": "create",
    "unhealthy": "error",
    "starting": "warning",
    "unknown": "warning",
    "ended": "error",
    "unreachable": "error",
}
LAST_WORDS = 5
"""Lines of its console that are shown of an instance that ended."""


def status(document: Document, width: int = 80) -> tuple[Line, ...]:
    """Hosts, instances and endpoints, then a sentence for all that is not as usual; the last line counts them."""
    hosts, instances = _entries(document, "hosts"), _entries(document, "instances")
    clocks = {host.get("name"): host.get("clock") for host in hosts}
    endpoints = [_endpoint(each) for each in _entries(document, "endpoints")]
    blocks: list[Sequence[Line]] = [
        _coloured(_table(width, _columns((machines.HEAD, *map(machines.row, hosts)), ((), (5,), (5, 3))))),
        _said(machines.sentences(hosts), width),
        _coloured(_instances(instances, clocks, width)) if instances else (),
        [line for each in instances if each.get("host") for line in _odd(each, clocks.get(each["host"]), width)],
        _said(_unseen(instances), width),
        _table(width, [(("ENDPOINT", "ADDRESS", "HOSTS"), *endpoints)]) if endpoints else (),
    ]
    shown = (line for block in blocks if block for line in (*block, EMPTY))
    return (*shown, one(summary(document), "bold"))


def _unseen(instances: Iterable[Document]) -> list[tuple[str, str]]:
    """Those that no host shows, and why: a sentence for all of one reason."""
    names: dict[str, list[str]] = {}
    for each in instances:
        if not each.get("host") and each.get("detail"):
            names.setdefault(str(each["detail"]), []).append(clean(str(each.get("name", ""))))
    return [("warning", f"{some(found, 6)}: {clean(detail)}.") for detail, found in names.items()]


def summary(document: Document) -> str:
    """``shop: 48 instances, 47 running, 46 healthy, 1 unknown; 3 hosts, 1 unreachable.``"""
    instances, hosts = _entries(document, "instances"), _entries(document, "hosts")
    parts = [counted(len(instances), "instance"), f"{_number(instances, 'state', 'running')} running"]
    parts.append(f"{_number(instances, 'health', 'healthy')} healthy")
    parts += [f"{n} {word}" for word in ("idle", "ended", "unknown") if (n := _number(instances, "state", word))]
    silent = sum(1 for host in hosts if not host.get("reachable", True))
    unreachable = f", {silent} unreachable" if silent else ""
    return f"{_fleet(document)}: {', '.join(parts)}; {counted(len(hosts), 'host')}{unreachable}."


def locks(document: Document) -> tuple[Line, ...]:
    """Who is at work where: one line a host; the last says whether anybody is."""
    hosts = _entries(document, "hosts")
    rows = [(clean(str(each.get("name", ""))), machines.holder(each)) for each in hosts]
    held = sum(1 for each in hosts if each.get("lease"))
    silent = sum(1 for each in hosts if not each.get("reachable", True))
    unknown = f" {counted(silent, 'host')} could not be asked." if silent else ""
    last = f"Held on {counted(held, 'host')}." if held else "Nobody holds a lease."
    return (*table(rows, indent=0), *([EMPTY] if rows else []), one(last + unknown, "bold"))


def logs(lines: Iterable[str]) -> Iterable[Line]:
    """Console lines, one by one as they come; a guest's control characters never reach a terminal."""
    for line in lines:
        yield one(clean(line.rstrip("\r\n")))


_HEAD = ("INSTANCE", "HOST", "STATE", "HEALTH", "SINCE", "PORTS", "COMMIT")
_PORTS, _COMMIT = 5, 6


def _entries(document: Document, key: str) -> list[Document]:
    found = [each for each in document.get(key) or () if isinstance(each, Mapping)]
    return sorted(found, key=lambda each: natural(str(each.get("name", ""))))


def _instances(instances: Sequence[Document], clocks: Mapping[Any, Any], width: int) -> tuple[Line, ...]:
    """With the addresses of the ports where there is room for them; without a column that nobody has something in."""
    long, short = (
        [_HEAD, *(_instance(each, clocks.get(each.get("host")), addresses) for each in instances)]
        for addresses in (True, False)
    )
    empty = tuple(n for n in (_PORTS, _COMMIT) if all(row[n] == "-" for row in long[1:]))
    return _table(width, [*_columns(long, (empty,)), *_columns(short, (empty, (*empty, _COMMIT)))])


def _instance(instance: Document, now: Any, addresses: bool) -> tuple[str, ...]:
    return (
        clean(str(instance.get("name", ""))),
        clean(str(instance.get("host") or "-")),
        clean(str(instance.get("state") or "unknown")),
        clean(str(instance.get("health") or "unknown")),
        age(now, instance.get("since")) or "-",
        clean(_ports(instance.get("ports"), str(instance.get("address") or "") if addresses else "")),
        clean(str(instance.get("commit") or "-"))[:8] + "+" * bool(instance.get("uncommitted")),
    )


def _ports(ports: Any, address: str) -> str:
    """``http 10.0.0.11:31002``; ``http:31002`` without the address."""
    if not isinstance(ports, Mapping) or not ports:
        return "-"
    before = f" {address}:" if address else ":"
    return ", ".join(f"{name}{before}{number}" for name, number in ports.items())


def _endpoint(endpoint: Document) -> tuple[str, ...]:
    service, port = endpoint.get("service", ""), endpoint.get("port", "")
    number = endpoint.get("number")
    address = f"{endpoint.get('address', '')}{f':{number}' if number else ''}" or "(fleet.lock does not say)"
    hosts = ", ".join(str(each) for each in endpoint.get("hosts") or ()) or "nowhere"
    kind = "published " if endpoint.get("kind") in ("published", "publish") else ""
    return (clean(f"{kind}{service}.{port}".strip(".")), clean(address), clean(hosts))


def _odd(instance: Document, now: Any, width: int) -> tuple[Line, ...]:
    """What is not as usual about an instance: how it ended, with its last words, or that it had to be started again."""
    end, state = instance.get("exit"), instance.get("state")
    told = [str(instance["detail"])] if instance.get("detail") else []
    if state == "ended" and instance.get("health") == "healthy" and not told:
        return ()  # A job that has done what it was there for.
    if isinstance(end, Mapping) and state != "running":
        told.append(_ended(end, now))
    elif isinstance(instance.get("starts"), int) and instance["starts"] > 1:
        told.append(f"it ended and was started again {counted(instance['starts'] - 1, 'time')}")
    if not told:
        return ()
    text = f"{clean(str(instance.get('name', '')))}: {clean('; '.join(told))}."
    lines = end.get("console") or () if isinstance(end, Mapping) and state != "running" else ()
    words = (one(f"    {clean(str(line))}"[:width], "dim") for line in [*lines][-LAST_WORDS:])
    return (*_wrapped(text, width, "error" if state != "running" else "warning"), *words)


def _ended(end: Document, now: Any) -> str:
    """``it ended 3 s ago: crash (signal 11), and is started again by itself in 5 s``."""
    since = age(now, end.get("at"))
    facts = [f"{key} {end[key]}" for key in ("code", "status", "signal") if end.get(key) is not None]
    facts += [str(end["reason"])] if end.get("reason") else []
    verdict = str(end.get("verdict") or "unknown")
    more = f" ({', '.join(facts)})" if facts else ""
    again = f", and is started again by itself{_in(end, now)}" if end.get("restarting") else ""
    return f"it ended{f' {since} ago' if since else ''}: {verdict}{more}{again}"


def _in(end: Document, now: Any) -> str:
    """When it is started again, where that is still to come."""
    pause, at = end.get("pause"), end.get("at")
    if not isinstance(pause, int | float) or not isinstance(at, int | float) or not isinstance(now, int | float):
        return ""
    left = min(pause, at + pause - now)
    return f" in {round(left)} s" if left >= 1 else ""


def _said(sentences: Sequence[tuple[str, str]], width: int) -> list[Line]:
    return [line for style, text in sentences for line in _wrapped(text, width, style)]


def _wrapped(text: str, width: int, style: str) -> tuple[Line, ...]:
    """A sentence, what comes after its first line set in."""
    first = wrap(text, width, style=style)[:1]
    rest = text[len(plain(first[0])) :].strip()
    return (*first, *(wrap(rest, width, 4, style) if rest else ()))


def _fleet(document: Document) -> str:
    fleet = document.get("fleet", "")
    name = fleet.get("mark") or fleet.get("name", "") if isinstance(fleet, Mapping) else fleet
    return clean(str(name))


def _number(entries: Iterable[Document], key: str, wanted: str) -> int:
    return sum(1 for each in entries if each.get(key) == wanted)


def _columns(rows: Sequence[Sequence[str]], without: Iterable[Sequence[int]]) -> list[list[tuple[str, ...]]]:
    """The table once for each set of columns to leave out."""
    return [[tuple(cell for n, cell in enumerate(row) if n not in left_out) for row in rows] for left_out in without]


def _table(width: int, tables: Sequence[Sequence[Sequence[str]]]) -> tuple[Line, ...]:
    """The first of several tables, head first, whose rows fit; where none does the last, cut at the width."""
    for rows in tables:
        lines = table(rows[1:], rows[0], 0)
        if all(len(plain(line)) <= width for line in lines):
            return lines
    return tuple(_narrow(line, width) for line in lines)


def _coloured(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The head as it is, and in each other line the words for a state in their style."""
    return (*lines[:1], *(_states(plain(line)) for line in lines[1:]))


def _states(text: str) -> Line:
    spans: list[Span] = []
    for piece in text.split("  "):
        spans += [Span("  ")] if spans else []
        spans.append(Span(piece, _STYLES.get(piece.strip(), "")))
    return tuple(spans)


def _narrow(line: Line, width: int) -> Line:
    """A table's line cut at the width: a wrapped one could not be read as a table."""
    if len(plain(line)) <= width:
        return line
    spans: list[Span] = []
    room = width - 1
    for span in line:
        spans.append(Span(span.text[:room], span.style))
        room -= len(span.text)
        if room <= 0:
            break
    return (*spans, Span("\u2026", "dim"))
