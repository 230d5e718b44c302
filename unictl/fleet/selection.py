"""Selectors: ``api``, ``api-2``, ``web-*``, ``@label``, ``host:hv*``, lists separated by commas, ``!`` to exclude.
Pure.

One syntax for ``-target`` (a bare word is a service or an instance) and for ``placement.hosts`` (a bare word is
a host). A list that only excludes selects everything else.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import assert_never

from unictl.fleet.model import Host
from unictl.fleet.names import instance_name

_WORD = re.compile(r"[a-z0-9*?\[\]-]+")
_LABEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._/-]*)(?:=([A-Za-z0-9._-]*))?")


_NO_LABELS: Mapping[str, str] = {}


class Kind(Enum):
    """What a term looks at."""

    NAME = "name"
    LABEL = "label"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One part of a selection. ``value`` is of labels only: empty means that the label is there at all."""

    kind: Kind
    pattern: str
    value: str = ""
    left_out: bool = False

    def __str__(self) -> str:
        mark = "!" if self.left_out else ""
        match self.kind:
            case Kind.NAME:
                return mark + self.pattern
            case Kind.HOST:
                return f"{mark}host:{self.pattern}"
            case Kind.LABEL:
                return f"{mark}@{self.pattern}{f'={self.value}' if self.value else ''}"
            case _:
                assert_never(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Terms of which any may hold, unless one that leaves out holds too. No terms: everything."""

    terms: tuple[Term, ...] = ()

    def host(self, name: str, labels: Mapping[str, str] = _NO_LABELS) -> bool:
        """Whether a host of this name and these labels is selected, as ``placement.hosts`` means it."""
        return self._holds(lambda term: _labelled(term, labels) or _named(term, name, Kind.NAME, Kind.HOST))

    def instance(self, service: str, ordinal: int, *, host: str = "", labels: Mapping[str, str] = _NO_LABELS) -> bool:
        """Whether this instance is selected, by service, own name, the service's labels or its host."""
        own = instance_name(service, ordinal)

        def matches(term: Term) -> bool:
            on_host = bool(host) and _named(term, host, Kind.HOST)
            named = _named(term, service, Kind.NAME) or _named(term, own, Kind.NAME)
            return on_host or named or _labelled(term, labels)

        return self._holds(matches)

    def service(self, name: str, labels: Mapping[str, str] = _NO_LABELS) -> bool:
        """Whether the service as a whole is selected; terms about hosts and single instances do not count."""
        return self._holds(lambda term: _labelled(term, labels) or _named(term, name, Kind.NAME))

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))

    def _holds(self, matches: Callable[[Term], bool]) -> bool:
        wanted = [term for term in self.terms if not term.left_out]
        if any(matches(term) for term in self.terms if term.left_out):
            return False
        return not wanted or any(map(matches, wanted))


def _named(term: Term, name: str, *kinds: Kind) -> bool:
    return term.kind in kinds and fnmatchcase(name, term.pattern)


def _labelled(term: Term, labels: Mapping[str, str]) -> bool:
    if term.kind is not Kind.LABEL or term.pattern not in labels:
        return False
    return not term.value or labels[term.pattern] == term.value


def parse(text: str) -> Selection:
    """``web,@edge,!host:hv-3`` -> Selection; the empty text selects everything. ValueError with a sentence."""
    if not text.strip():
        return Selection()
    return Selection(terms=tuple(_term(part.strip(), text) for part in text.split(",")))


def _term(part: str, whole: str) -> Term:
    left_out, word = part.startswith("!"), part.removeprefix("!")
    if word.startswith("@"):
        label = _LABEL.fullmatch(word[1:])
        if label:
            return Term(kind=Kind.LABEL, pattern=label[1], value=label[2] or "", left_out=left_out)
    elif word.startswith("host:") and _WORD.fullmatch(word[5:]):
        return Term(kind=Kind.HOST, pattern=word[5:], left_out=left_out)
    elif _WORD.fullmatch(word):
        return Term(kind=Kind.NAME, pattern=word, left_out=left_out)
    if not part:
        raise ValueError(f"{whole!r} has an empty part: write names separated by one comma each")
    raise ValueError(
        f"{part!r} selects nothing: write a name, a glob such as hv*, @label or host:NAME, with ! to leave out"
    )


def host_labels(host: Host) -> Mapping[str, str]:
    """The labels of a host as selections and ``require`` see them: its zone is the label ``zone``."""
    return {"zone": host.zone, **host.labels} if host.zone else host.labels


def selected_hosts(selector: str, hosts: Iterable[Host]) -> tuple[Host, ...]:
    """The hosts that ``placement.hosts`` names, sorted by name."""
    selection = parse(selector)
    return tuple(sorted((h for h in hosts if selection.host(h.name, host_labels(h))), key=lambda host: host.name))
