"""What runs, who holds which lease, and console lines, as lines of spans. Pure: documents in, lines out.

The documents are those of ``status --json`` and ``locks --json``; times in them are the host's, compared with no clock
here.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from unictl.fleet.quantities import memory_text
from unictl.views.fold import natural
from unictl.views.layout import EMPTY, clean, counted, one, plain, table
from unictl.views.spans import Line, Span

Document = Mapping[str, Any]

_STYLES = {
    "healthy": "create",
    "unhealthy": "error",
    "starting": "warning",
    "unknown": "warning",
    "ended": "error",
    "unreachable": "error",
}


def status(document: Document, width: int = 80) -> tuple[Line, ...]:
    """Hosts, instances and endpoints; the last line counts them."""
    hosts, instances = _entries(document, "hosts"), _entries(document, "instances")
    blocks = (
        _coloured(table([_host(each) for each in hosts], ("HOST", "STATE", "ACCELERATOR", "MEMORY FREE", "LEASE"), 0)),
        _coloured(table([_instance(each) for each in instances], _INSTANCE_HEAD, 0)) if instances else (),
        table([_endpoint(each) for each in _entries(document, "endpoints")], ("ENDPOINT", "ADDRESS", "HOSTS"), 0),
        tuple(line for each in instances for line in _ended(each)),
    )
    shown = (line for block in blocks if len(block) > 1 or (block and block is blocks[-1]) for line in (*block, EMPTY))
    return (*(_narrow(line, width) for line in shown), one(summary(document), "bold"))


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
    rows = [(clean(str(each.get("name", ""))), _holder(each)) for each in hosts]
    held = sum(1 for each in hosts if each.get("lease"))
    silent = sum(1 for each in hosts if not each.get("reachable", True))
    unknown = f" {counted(silent, 'host')} could not be asked." if silent else ""
    last = f"Held on {counted(held, 'host')}." if held else "Nobody holds a lease."
    return (*table(rows, indent=0), *([EMPTY] if rows else []), one(last + unknown, "bold"))


def logs(lines: Iterable[str]) -> Iterable[Line]:
    """Console lines, one by one as they come; a guest's control characters never reach a terminal."""
    for line in lines:
        yield one(clean(line.rstrip("\r\n")))


_INSTANCE_HEAD = ("INSTANCE", "HOST", "STATE", "HEALTH", "ADDRESS", "PORTS", "COMMIT", "SINCE")


def _entries(document: Document, key: str) -> list[Document]:
    found = [each for each in document.get(key) or () if isinstance(each, Mapping)]
    return sorted(found, key=lambda each: natural(str(each.get("name", ""))))


def _host(host: Document) -> tuple[str, ...]:
    reachable = host.get("reachable", True)
    return (
        clean(str(host.get("name", ""))),
        "reachable" if reachable else "unreachable",
        clean(str(host.get("accelerator") or "-")),
        _amount(host.get("free")) if reachable else "-",
        _holder(host),
    )


def _amount(free: Any) -> str:
    size = free.get("memory") if isinstance(free, Mapping) else free
    return memory_text(size - size % (1 << 20)) if isinstance(size, int) and size >= 1 << 20 else str(size or "-")


def _instance(instance: Document) -> tuple[str, ...]:
    return (
        clean(str(instance.get("name", ""))),
        clean(str(instance.get("host") or "-")),
        clean(str(instance.get("state") or "unknown")),
        clean(str(instance.get("health") or "unknown")),
        clean(str(instance.get("address") or "-")),
        clean(_ports(instance.get("ports"))),
        clean(str(instance.get("commit") or "-"))[:8],
        clean(_since(instance.get("since"))),
    )


def _since(since: Any) -> str:
    """Seconds since 1970 as a time of day in UTC; other words as they are."""
    if isinstance(since, int | float) and since > 0:
        return datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return str(since or "-")


def _ports(ports: Any) -> str:
    if isinstance(ports, Mapping):
        return ",".join(f"{name}:{number}" for name, number in ports.items()) or "-"
    return ",".join(_port(each) for each in ports or ()) or "-"


def _port(port: Any) -> str:
    if not isinstance(port, Mapping):
        return str(port)
    return f"{port.get('name', '')}:{port.get('number', port.get('port', ''))}".removeprefix(":")


def _endpoint(endpoint: Document) -> tuple[str, ...]:
    service, port = endpoint.get("service", ""), endpoint.get("port", "")
    number = endpoint.get("number")
    address = f"{endpoint.get('address', '')}{f':{number}' if number else ''}"
    hosts = ", ".join(str(each) for each in endpoint.get("hosts") or ()) or "-"
    kind = "published " if endpoint.get("kind") in ("published", "publish") else ""
    return (clean(f"{kind}{service}.{port}".strip(".")), clean(address), clean(hosts))


def _ended(instance: Document) -> tuple[Line, ...]:
    """How one that ended did: its own line, since it is what is looked for."""
    end = instance.get("exit")
    if not end or instance.get("state") == "running":
        return ()
    told = end.get("text") or end.get("reason") or end if isinstance(end, Mapping) else end
    return ((Span(clean(str(instance.get("name", ""))), "error"), Span(f" ended: {clean(_words(told))}")),)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items() if each not in (None, "", {}, []))
    return str(value)


def _holder(host: Document) -> str:
    """Who holds the lease there, in words; whatever the host side says of a holder is shown."""
    if not host.get("reachable", True):
        return "unknown"
    lease = host.get("lease")
    if isinstance(lease, Mapping) and isinstance(lease.get("holder"), Mapping):
        lease = {**lease["holder"], **{key: each for key, each in lease.items() if key != "holder"}}
    return clean(_words(lease)) if lease else "free"


def _fleet(document: Document) -> str:
    fleet = document.get("fleet", "")
    name = fleet.get("mark") or fleet.get("name", "") if isinstance(fleet, Mapping) else fleet
    return clean(str(name))


def _number(entries: Iterable[Document], key: str, wanted: str) -> int:
    return sum(1 for each in entries if each.get(key) == wanted)


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
