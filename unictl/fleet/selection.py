"""Selectors: ``api``, ``api-2``, ``web-*``, ``@label``, ``host:hv*``, lists separated by commas, ``!`` to exclude.
Pure.

One syntax for ``-target`` (a bare word is a service or an instance) and for ``placement.hosts`` (a bare word is a
host). A list that only excludes selects everything else.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import assert_never

from unictl.fleet.model import Host
from unictl.fleet.names import InstanceName

_WORD = re.compile(r"[a-z0-9*?\[\]-]+")
_LABEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._/-]*)(?:=([A-Za-z0-9._-]*))?")


_NO_LABELS: Mapping[str, str] = {}


class TermKind(Enum):
    """What a term looks at."""

    NAME = "name"
    LABEL = "label"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One part of a selection. ``value`` is of labels only: empty means that the label is there at all."""

    kind: TermKind
    pattern: str
    value: str = ""
    excluded: bool = False

    def __str__(self) -> str:
        mark = "!" if self.excluded else ""
        match self.kind:
            case TermKind.NAME:
                return mark + self.pattern
            case TermKind.HOST:
                return f"{mark}host:{self.pattern}"
            case TermKind.LABEL:
                return f"{mark}@{self.pattern}{f'={self.value}' if self.value else ''}"
            case _:
                assert_never(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Terms of which any may hold, unless one that leaves out holds too. No terms: everything."""

    terms: tuple[Term, ...] = ()

    def matches_host(self, name: str, labels: Mapping[str, str] = _NO_LABELS) -> bool:
        """Whether a host of this name and these labels is selected, as ``placement.hosts`` means it."""
        return self._is_selected(
            lambda term: _matches_label(term, labels) or _matches_name(term, name, TermKind.NAME, TermKind.HOST)
        )

    def matches_instance(
        self, service: str, ordinal: int, *, host: str = "", labels: Mapping[str, str] = _NO_LABELS
    ) -> bool:
        """Whether this instance is selected, by service, own name, the service's labels or its host."""
        name = InstanceName.of(service, ordinal)

        def matches(term: Term) -> bool:
            on_host = bool(host) and _matches_name(term, host, TermKind.HOST)
            name_matches = _matches_name(term, service, TermKind.NAME) or _matches_name(term, name, TermKind.NAME)
            return on_host or name_matches or _matches_label(term, labels)

        return self._is_selected(matches)

    def matches_service(self, name: str, labels: Mapping[str, str] = _NO_LABELS) -> bool:
        """Whether the service as a whole is selected; terms about hosts and single instances do not count."""
        return self._is_selected(lambda term: _matches_label(term, labels) or _matches_name(term, name, TermKind.NAME))

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))

    def _is_selected(self, matches: Callable[[Term], bool]) -> bool:
        included = [term for term in self.terms if not term.excluded]
        if any(matches(term) for term in self.terms if term.excluded):
            return False
        return not included or any(map(matches, included))


def _matches_name(term: Term, name: str, *kinds: TermKind) -> bool:
    return term.kind in kinds and fnmatchcase(name, term.pattern)


def _matches_label(term: Term, labels: Mapping[str, str]) -> bool:
    if term.kind is not TermKind.LABEL or term.pattern not in labels:
        return False
    return not term.value or labels[term.pattern] == term.value


def parse_selector(text: str) -> Selection:
    """``web,@edge,!host:hv-3`` -> Selection; the empty text selects everything. ValueError with a sentence."""
    if not text.strip():
        return Selection()
    return Selection(terms=tuple(_parse_term(part.strip(), text) for part in text.split(",")))


def _parse_term(part: str, selector: str) -> Term:
    excluded, word = part.startswith("!"), part.removeprefix("!")
    if word.startswith("@"):
        label = _LABEL.fullmatch(word[1:])
        if label:
            return Term(kind=TermKind.LABEL, pattern=label[1], value=label[2] or "", excluded=excluded)
    elif word.startswith("host:") and _WORD.fullmatch(word[5:]):
        return Term(kind=TermKind.HOST, pattern=word[5:], excluded=excluded)
    elif _WORD.fullmatch(word):
        return Term(kind=TermKind.NAME, pattern=word, excluded=excluded)
    if not part:
        raise ValueError(f"{selector!r} has an empty part: write names separated by one comma each")
    raise ValueError(
        f"{part!r} selects nothing: write a name, a glob such as hv*, @label or host:NAME, with ! to leave out"
    )


def host_labels(host: Host) -> Mapping[str, str]:
    """The labels of a host as selections and ``require`` see them: its zone is the label ``zone``."""
    return {"zone": host.zone, **host.labels} if host.zone else host.labels


def select_hosts(selector: str, hosts: Iterable[Host]) -> tuple[Host, ...]:
    """The hosts that ``placement.hosts`` names, sorted by name."""
    selection = parse_selector(selector)
    return tuple(
        sorted(
            (candidate for candidate in hosts if selection.matches_host(candidate.name, host_labels(candidate))),
            key=lambda host: host.name,
        )
    )
