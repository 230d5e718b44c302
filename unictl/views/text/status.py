"""Instances, leases and console lines as lines of spans. Pure: documents in, lines out.

The documents are those of `status -json` and `locks -json`. Times in them are the host's and are compared with the
host's own clock, which is in the document too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unictl.views.text import hosts as machines
from unictl.views.text.layout import EMPTY, abbreviate, count_of, format_table, plain_text, sanitize, styled_line, wrap
from unictl.views.text.sorting import natural_key
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
LAST_CONSOLE_LINES = 5
"""Lines of its console that are shown of an instance that ended."""


def render(document: Document, width: int = 80) -> tuple[Line, ...]:
    """Hosts, instances and endpoints, then a sentence for all that is not as usual; the last line counts them."""
    hosts, instances = _sorted_entries(document, "hosts"), _sorted_entries(document, "instances")
    clocks = {host.get("name"): host.get("clock") for host in hosts}
    endpoints = [_endpoint_cells(entry) for entry in _sorted_entries(document, "endpoints")]
    blocks: list[Sequence[Line]] = [
        _colour_states(
            _fit_table(width, _column_choices((machines.HEADER, *map(machines.host_cells, hosts)), ((), (5,), (5, 3))))
        ),
        _sentence_lines(machines.anomaly_sentences(hosts), width),
        _colour_states(_instance_table(instances, clocks, width)) if instances else (),
        [
            line
            for entry in instances
            if entry.get("host")
            for line in _anomaly_lines(entry, clocks.get(entry["host"]), width)
        ],
        _sentence_lines(_unreported_sentences(instances), width),
        _fit_table(width, [(("ENDPOINT", "ADDRESS", "HOSTS"), *endpoints)]) if endpoints else (),
    ]
    shown = (line for block in blocks if block for line in (*block, EMPTY))
    return (*shown, styled_line(summary(document), "bold"))


def _unreported_sentences(instances: Iterable[Document]) -> list[tuple[str, str]]:
    """Those that no host shows, and why: a sentence for all of one reason."""
    names: dict[str, list[str]] = {}
    for instance in instances:
        if not instance.get("host") and instance.get("detail"):
            names.setdefault(str(instance["detail"]), []).append(sanitize(str(instance.get("name", ""))))
    return [
        ("warning", f"{abbreviate(instance_names, 6)}: {sanitize(detail)}.") for detail, instance_names in names.items()
    ]


def summary(document: Document) -> str:
    """``shop: 48 instances, 47 running, 46 healthy, 1 unknown; 3 hosts, 1 unreachable.``"""
    instances, hosts = _sorted_entries(document, "instances"), _sorted_entries(document, "hosts")
    parts = [count_of(len(instances), "instance"), f"{_count_with(instances, 'state', 'running')} running"]
    parts.append(f"{_count_with(instances, 'health', 'healthy')} healthy")
    parts += [
        f"{count} {word}" for word in ("idle", "ended", "unknown") if (count := _count_with(instances, "state", word))
    ]
    unreachable_count = sum(1 for host in hosts if not host.get("reachable", True))
    unreachable_text = f", {unreachable_count} unreachable" if unreachable_count else ""
    return f"{_fleet_name(document)}: {', '.join(parts)}; {count_of(len(hosts), 'host')}{unreachable_text}."


def render_locks(document: Document) -> tuple[Line, ...]:
    """Who is at work where: one line a host; the last says whether anybody is."""
    hosts = _sorted_entries(document, "hosts")
    lock_rows = [(sanitize(str(host.get("name", ""))), machines.lease_text(host)) for host in hosts]
    held_count = sum(1 for host in hosts if host.get("lease"))
    unreachable_count = sum(1 for host in hosts if not host.get("reachable", True))
    unknown = f" {count_of(unreachable_count, 'host')} could not be asked." if unreachable_count else ""
    last = f"Held on {count_of(held_count, 'host')}." if held_count else "Nobody holds a lease."
    return (*format_table(lock_rows, indent=0), *([EMPTY] if lock_rows else []), styled_line(last + unknown, "bold"))


def console_lines(lines: Iterable[str]) -> Iterable[Line]:
    """Console lines, one by one as they come; a guest's control characters never reach a terminal."""
    for line in lines:
        yield styled_line(sanitize(line.rstrip("\r\n")))


_HEADER = ("INSTANCE", "HOST", "STATE", "HEALTH", "SINCE", "PORTS", "COMMIT")
_PORTS, _COMMIT = 5, 6


def _sorted_entries(document: Document, key: str) -> list[Document]:
    entries = [entry for entry in document.get(key) or () if isinstance(entry, Mapping)]
    return sorted(entries, key=lambda entry: natural_key(str(entry.get("name", ""))))


def _instance_table(instances: Sequence[Document], clocks: Mapping[Any, Any], width: int) -> tuple[Line, ...]:
    """With the addresses of the ports where there is room for them; without a column that nobody has something in."""
    long, short = (
        [_HEADER, *(_instance_cells(instance, clocks.get(instance.get("host")), addresses) for instance in instances)]
        for addresses in (True, False)
    )
    empty = tuple(column for column in (_PORTS, _COMMIT) if all(cells[column] == "-" for cells in long[1:]))
    return _fit_table(width, [*_column_choices(long, (empty,)), *_column_choices(short, (empty, (*empty, _COMMIT)))])


def _instance_cells(instance: Document, current_time: Any, with_addresses: bool) -> tuple[str, ...]:
    return (
        sanitize(str(instance.get("name", ""))),
        sanitize(str(instance.get("host") or "-")),
        sanitize(str(instance.get("state") or "unknown")),
        sanitize(str(instance.get("health") or "unknown")),
        age(current_time, instance.get("since")) or "-",
        sanitize(_ports_text(instance.get("ports"), str(instance.get("address") or "") if with_addresses else "")),
        sanitize(str(instance.get("commit") or "-"))[:8] + "+" * bool(instance.get("uncommitted")),
    )


def _ports_text(ports: Any, address: str) -> str:
    """``http 10.0.0.11:31002``; ``http:31002`` without the address."""
    if not isinstance(ports, Mapping) or not ports:
        return "-"
    before = f" {address}:" if address else ":"
    return ", ".join(f"{name}{before}{number}" for name, number in ports.items())


def _endpoint_cells(endpoint: Document) -> tuple[str, ...]:
    service, port = endpoint.get("service", ""), endpoint.get("port", "")
    number = endpoint.get("number")
    address = f"{endpoint.get('address', '')}{f':{number}' if number else ''}" or "(fleet.lock does not say)"
    hosts = ", ".join(str(host) for host in endpoint.get("hosts") or ()) or "nowhere"
    kind = "published " if endpoint.get("kind") in ("published", "publish") else ""
    return (sanitize(f"{kind}{service}.{port}".strip(".")), sanitize(address), sanitize(hosts))


def _anomaly_lines(instance: Document, current_time: Any, width: int) -> tuple[Line, ...]:
    """What is not as usual about an instance: how it ended, with its last words, or that it had to be started again."""
    end, state = instance.get("exit"), instance.get("state")
    sentences = [str(instance["detail"])] if instance.get("detail") else []
    if state == "ended" and instance.get("health") == "healthy" and not sentences:
        return ()  # A job that has done what it was there for.
    if isinstance(end, Mapping) and state != "running":
        sentences.append(_exit_sentence(end, current_time))
    elif isinstance(instance.get("starts"), int) and instance["starts"] > 1:
        sentences.append(f"it ended and was started again {count_of(instance['starts'] - 1, 'time')}")
    if not sentences:
        return ()
    text = f"{sanitize(str(instance.get('name', '')))}: {sanitize('; '.join(sentences))}."
    lines = end.get("console") or () if isinstance(end, Mapping) and state != "running" else ()
    words = (styled_line(f"    {sanitize(str(line))}"[:width], "dim") for line in [*lines][-LAST_CONSOLE_LINES:])
    return (*_wrap_hanging(text, width, "error" if state != "running" else "warning"), *words)


def _exit_sentence(end: Document, current_time: Any) -> str:
    """``it ended 3 s ago: crash (signal 11), and is started again by itself in 5 s``."""
    since = age(current_time, end.get("at"))
    facts = [f"{key} {end[key]}" for key in ("code", "status", "signal") if end.get(key) is not None]
    facts += [str(end["reason"])] if end.get("reason") else []
    verdict = str(end.get("verdict") or "unknown")
    facts_text = f" ({', '.join(facts)})" if facts else ""
    restart_text = (
        f", and is started again by itself{_restart_delay(end, current_time)}" if end.get("restarting") else ""
    )
    return f"it ended{f' {since} ago' if since else ''}: {verdict}{facts_text}{restart_text}"


def _restart_delay(end: Document, current_time: Any) -> str:
    """When it is started again, where that is still to come."""
    pause, at = end.get("pause"), end.get("at")
    if (
        not isinstance(pause, int | float)
        or not isinstance(at, int | float)
        or not isinstance(current_time, int | float)
    ):
        return ""
    remaining_seconds = min(pause, at + pause - current_time)
    return f" in {round(remaining_seconds)} s" if remaining_seconds >= 1 else ""


def _sentence_lines(sentences: Sequence[tuple[str, str]], width: int) -> list[Line]:
    return [line for style, text in sentences for line in _wrap_hanging(text, width, style)]


def _wrap_hanging(text: str, width: int, style: str) -> tuple[Line, ...]:
    """A sentence, what comes after its first line set in."""
    first_line = wrap(text, width, style=style)[:1]
    continuation = text[len(plain_text(first_line[0])) :].strip()
    return (*first_line, *(wrap(continuation, width, 4, style) if continuation else ()))


def _fleet_name(document: Document) -> str:
    fleet = document.get("fleet", "")
    name = fleet.get("mark") or fleet.get("name", "") if isinstance(fleet, Mapping) else fleet
    return sanitize(str(name))


def _count_with(entries: Iterable[Document], key: str, value: str) -> int:
    return sum(1 for entry in entries if entry.get(key) == value)


def _column_choices(
    table_rows: Sequence[Sequence[str]], without: Iterable[Sequence[int]]
) -> list[list[tuple[str, ...]]]:
    """The table once for each set of columns to leave out."""
    return [
        [tuple(cell for column, cell in enumerate(cells) if column not in left_out) for cells in table_rows]
        for left_out in without
    ]


def _fit_table(width: int, tables: Sequence[Sequence[Sequence[str]]]) -> tuple[Line, ...]:
    """The first of several tables, head first, whose rows fit; where none does the last, cut at the width."""
    for candidate in tables:
        lines = format_table(candidate[1:], candidate[0], 0)
        if all(len(plain_text(line)) <= width for line in lines):
            return lines
    return tuple(_truncate(line, width) for line in lines)


def _colour_states(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The head as it is, and in each other line the words for a state in their style."""
    return (*lines[:1], *(_state_spans(plain_text(line)) for line in lines[1:]))


def _state_spans(text: str) -> Line:
    spans: list[Span] = []
    for piece in text.split("  "):
        spans += [Span("  ")] if spans else []
        spans.append(Span(piece, _STYLES.get(piece.strip(), "")))
    return tuple(spans)


def _truncate(line: Line, width: int) -> Line:
    """A table's line cut at the width: a wrapped one could not be read as a table."""
    if len(plain_text(line)) <= width:
        return line
    spans: list[Span] = []
    room = width - 1
    for span in line:
        spans.append(Span(span.text[:room], span.style))
        room -= len(span.text)
        if room <= 0:
            break
    return (*spans, Span("\u2026", "dim"))
