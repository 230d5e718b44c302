"""What a plan is asked to do by name has to be there: what is mistyped would else mean nothing, or everything. Pure.

ValueError with a sentence: it is the question that is wrong, and no host has a part in it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from unictl.fleet.names import closest, instance_name, listed
from unictl.fleet.selection import Kind, Selection, Term
from unictl.plan.situation import Situation

Row = tuple[str, int, str]
"""Service, ordinal and host; a host alone where who lives there is declared and has its row."""


def selected(s: Situation, option: str, selection: Selection) -> None:
    """Every part of a selector selects something declared or live; ValueError where one does not."""
    for term in selection.terms:
        if not _selects(s, replace(term, left_out=False)):
            near = _near(term.pattern, _known(s, term.kind))
            raise ValueError(f"-{option}: {str(term).removeprefix('!')!r} selects nothing{near}")


def requested(s: Situation) -> None:
    """What ``-replace`` and ``-allow-destroy volume:`` name is there; ValueError where it is not."""
    known = {name for w in s.wished for name in (w.name, w.service)}
    if unknown := sorted(set(s.options.replace) - known):
        raise ValueError(f"-replace: the fleet has no {unknown[0]!r}{_near(unknown[0], known)}")
    # A host that does not answer may have it: then it is told in the plan.
    volumes = volume_names(s)
    if (absent := sorted(set(s.options.allow_volumes) - volumes - set(s.options.deleted))) and not s.silent:
        raise ValueError(f"-allow-destroy: no host has a volume {absent[0]!r}{_near(absent[0], volumes)}")


def volume_names(s: Situation) -> set[str]:
    """Every volume that a host shows or the fleet declares, also as its replicas have it."""
    return {*s.volumes, *s.fleet.volumes, *(name for each in s.wished for name in each.volumes.values())}


def _selects(s: Situation, term: Term) -> bool:
    one = Selection(terms=(term,))
    if any(one.service(name, service.labels) for name, service in s.fleet.services.items()):
        return True
    if term.kind is Kind.HOST and any(one.host(name) for name in s.fleet.hosts):
        return True
    return any(one.instance(name, n, host=host) for name, n, host in _rows(s))


def _rows(s: Situation) -> Iterator[Row]:
    """Whoever is declared, and whoever lives and is not declared any more."""
    wished = {each.name for each in s.wished}
    for each in s.wished:
        yield each.service, each.ordinal, ""
    for name, lives in s.lives.items():
        for live in lives:
            yield ("", -1, live.host) if name in wished else (live.service, live.ordinal, live.host)


def _known(s: Situation, kind: Kind) -> set[str]:
    if kind is Kind.HOST:
        return set(s.fleet.hosts)
    if kind is Kind.LABEL:
        return {label for service in s.fleet.services.values() for label in service.labels}
    rows = [row for row in _rows(s) if row[0]]
    return {*s.fleet.services, *(name for name, *_ in rows), *(instance_name(name, n) for name, n, _ in rows)}


def _near(word: str, known: Iterable[str]) -> str:
    names = set(known)
    if near := closest(word, names):
        return f", did you mean {near}?"
    return f": there {'are' if len(names) > 1 else 'is'} {listed(names)}" if names else ""
