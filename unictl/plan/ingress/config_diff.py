"""Differences between two HAProxy configurations, in the words of the fleet file. Pure.

Both texts are parsed the same way, so what an older unictl wrote differently shows as a changed timeout or balance.
Servers are not compared: membership changes are reported elsewhere.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from unictl.diagnostics.place import DocumentPath
from unictl.plan.model.change import Field

ConfigFacts = Mapping[str, str]
"""``front.http.published`` -> ``*:8080``."""
_BIND = re.compile(r"bind (\S+):(\d+)")
_URI = re.compile(r"http-check send meth GET uri '([^']*)'")
_CHECK = re.compile(r"default-server check inter (\S+)")
_FACT_NAMES = {"mode": "mode", "timeout check": "health.timeout", "tcp-check send-binary": "health.send"}
_FACT_NAMES |= {"tcp-check expect binary": "health.expect"}
_IGNORED_PREFIXES = ("option httpchk", "option tcp-check", "tcp-check connect", "http-check")
_SERVICE_KEYS = {"published": "publish", "endpoint": "ports", "health": "health"}


def differences(before: str, after: str) -> tuple[Field, ...]:
    """Every fact that one text has and the other has not, or has otherwise."""
    old, new = parse_facts(before), parse_facts(after)
    names = sorted({*old, *new}, key=lambda name: (name.startswith("ingress."), name))
    return tuple(
        Field(path=name, old=old.get(name), new=new.get(name)) for name in names if old.get(name) != new.get(name)
    )


def field_origin(field: Field) -> DocumentPath:
    """The key of the fleet file that a fact comes of; empty where it is none's."""
    service, _, subpath = field.path.partition(".")
    key = subpath.partition(".")[2].partition(".")[0]
    return ("services", service, _SERVICE_KEYS[key]) if key in _SERVICE_KEYS else ()


def parse_facts(text: str) -> ConfigFacts:
    """What a text says of each listener, and of all of them (``haproxy_config.balance``)."""
    values_by_key: defaultdict[str, list[str]] = defaultdict(list)
    for head, lines in _split_sections(text):
        kind, _, name = head.partition(" ")
        section_facts = (
            _listener_facts(name.partition(":")[0], lines) if kind == "listen" else _shared_facts(kind, lines)
        )
        for key, value in section_facts:
            values_by_key[key].append(value)
    return {key: ", ".join(sorted(set(values))) for key, values in values_by_key.items()}


def _split_sections(text: str) -> Iterator[tuple[str, list[str]]]:
    head, lines = "", list[str]()
    for line in text.splitlines():
        if line[:1] in ("", "#"):
            continue
        if line[0] != " ":
            yield head, lines
            head, lines = line, []
        else:
            lines.append(line.strip())
    yield head, lines


def _shared_facts(kind: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    """What holds for all: of ``global``, which the host completes, only how long sessions may last."""
    for line in lines:
        key, _, value = line.rpartition(" ")
        if kind == "defaults" or key == "hard-stop-after":
            yield f"ingress.{'drain' if key == 'hard-stop-after' else key}", value


def _listener_facts(name: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if bind := _BIND.fullmatch(line):
            yield f"{name}.{'published' if bind[1] == '*' else 'endpoint'}", f"{bind[1]}:{bind[2]}"
        elif uri := _URI.match(line):
            yield f"{name}.health.http", unquote(uri[1])
        elif interval := _CHECK.match(line):
            yield f"{name}.health.interval", interval[1]
        elif not line.startswith(_IGNORED_PREFIXES):
            key, _, value = line.rpartition(" ")
            fact = bytes.fromhex(value).decode(errors="replace") if "binary" in key else value
            # What a mode brings with it follows from the mode.
            if key in _FACT_NAMES:
                yield f"{name}.{_FACT_NAMES[key]}", fact
