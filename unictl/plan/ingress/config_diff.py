"""Differences between two HAProxy configurations, in the words of the fleet file. Pure.

Both texts are parsed the same way, so what an older unictl wrote differently shows as a changed timeout or balance.
Servers are not compared: membership changes are reported elsewhere.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from unictl.diagnostics.place import Path
from unictl.plan.model.change import Field

Facts = Mapping[str, str]
"""``front.http.published`` -> ``*:8080``."""
_BIND = re.compile(r"bind (\S+):(\d+)")
_URI = re.compile(r"http-check send meth GET uri '([^']*)'")
_CHECK = re.compile(r"default-server check inter (\S+)")
_VALUES = {"mode": "mode", "timeout check": "health.timeout", "tcp-check send-binary": "health.send"}
_VALUES |= {"tcp-check expect binary": "health.expect"}
_SAYS_NOTHING = ("option httpchk", "option tcp-check", "tcp-check connect", "http-check")
_KEYS = {"published": "publish", "endpoint": "ports", "health": "health"}


def differences(before: str, after: str) -> tuple[Field, ...]:
    """Every fact that one text has and the other has not, or has otherwise."""
    old, new = facts(before), facts(after)
    names = sorted({*old, *new}, key=lambda name: (name.startswith("ingress."), name))
    return tuple(
        Field(path=name, old=old.get(name), new=new.get(name)) for name in names if old.get(name) != new.get(name)
    )


def origin(field: Field) -> Path:
    """The key of the fleet file that a fact comes of; empty where it is none's."""
    service, _, rest = field.path.partition(".")
    key = rest.partition(".")[2].partition(".")[0]
    return ("services", service, _KEYS[key]) if key in _KEYS else ()


def facts(text: str) -> Facts:
    """What a text says of each listener, and of all of them (``ingress.balance``)."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for head, lines in _sections(text):
        kind, _, name = head.partition(" ")
        rows = _listener(name.partition(":")[0], lines) if kind == "listen" else _shared(kind, lines)
        for key, value in rows:
            found[key].append(value)
    return {key: ", ".join(sorted(set(values))) for key, values in found.items()}


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
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


def _shared(kind: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    """What holds for all: of ``global``, which the host completes, only how long sessions may last."""
    for line in lines:
        key, _, value = line.rpartition(" ")
        if kind == "defaults" or key == "hard-stop-after":
            yield f"ingress.{'drain' if key == 'hard-stop-after' else key}", value


def _listener(name: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if bound := _BIND.fullmatch(line):
            yield f"{name}.{'published' if bound[1] == '*' else 'endpoint'}", f"{bound[1]}:{bound[2]}"
        elif asked := _URI.match(line):
            yield f"{name}.health.http", unquote(asked[1])
        elif every := _CHECK.match(line):
            yield f"{name}.health.interval", every[1]
        elif not line.startswith(_SAYS_NOTHING):
            key, _, value = line.rpartition(" ")
            told = bytes.fromhex(value).decode(errors="replace") if "binary" in key else value
            # What a mode brings with it follows from the mode.
            if key in _VALUES:
                yield f"{name}.{_VALUES[key]}", told
