"""Changes grouped into rows: destructive ones first, equal ones as one row. Pure.

Destroyed instances are never folded: each has its own row. Unchanged ones have none.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from unictl.fleet.quantities import memory_text
from unictl.plan.model.change import Action, Change, Field
from unictl.views.text.layout import clean, counted

_ORDER = (Action.DESTROY, Action.REPLACE, Action.MOVE, Action.CREATE, Action.ADJUST, Action.UNKNOWN, Action.HELD)
_RANK = {action: rank for rank, action in enumerate(_ORDER)} | {Action.MOVE: _ORDER.index(Action.REPLACE)}
_HEX = re.compile(r"(?:(?:sha256|v?\d+):)?[0-9a-f]{40,64}")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a plan: one change, or several that differ in nothing but their name and host."""

    changes: tuple[Change, ...]

    @property
    def first(self) -> Change:
        """The change that stands for all."""
        return self.changes[0]

    @property
    def label(self) -> str:
        """What it is about: ``api-2`` for one, ``api`` for several, ``28 services`` for those of many."""
        if len(self.changes) == 1:
            return clean(self.first.subject)
        if len(self.services) > 1:
            return counted(len(self.services), "service")
        return clean(self.first.service or _kind(self.first.subject))

    @property
    def amount(self) -> str:
        """``40 instances on 7 hosts``, ``2 instances on hv1, hv2``; of one, ``on hv1``, or ``from hv1 to hv2``."""
        if len(self.changes) == 1:
            return _where(self.first)
        kind = _kind(self.first.subject)
        number = counted(len(self.changes), _NOUNS.get(kind, "instance"))
        if kind in _OF_HOSTS or not self.hosts:
            return number
        return f"{number} on {counted(len(self.hosts), 'host') if self.crowded else self._named}"

    @property
    def crowded(self) -> bool:
        """Whether its hosts are too many to be named where they are counted."""
        return _kind(self.first.subject) in _OF_HOSTS or len(self._named) > _NAMED

    @property
    def _named(self) -> str:
        return ", ".join(map(clean, self.hosts))

    @property
    def services(self) -> tuple[str, ...]:
        """Of which services, in natural order."""
        return tuple(sorted({each.service for each in self.changes if each.service}, key=natural))

    @property
    def hosts(self) -> tuple[str, ...]:
        """On which hosts, in natural order."""
        return tuple(
            sorted({each.to_host or each.host for each in self.changes if each.to_host or each.host}, key=natural)
        )


_NOUNS = {"ingress": "host", "policy": "host", "fleet": "host", "volume": "volume"}
_OF_HOSTS = ("ingress", "policy", "fleet")
_NAMED = 16
"""Characters that the names of a row's hosts may take."""
_MANY = 5
"""From as many services on, one row says what they have in common."""
_SIZES = ("memory", "overhead", "size")


def rows(changes: Iterable[Change], *, expand: bool = False) -> tuple[Row, ...]:
    """The rows of a plan in the order they are shown; ``expand`` folds nothing."""
    groups: dict[tuple[Any, ...], list[Change]] = {}
    for change in sorted((each for each in changes if each.action in _RANK), key=_order):
        alone = expand or change.action is Action.DESTROY
        groups.setdefault((change.subject, change.host) if alone else _alike(change), []).append(change)
    found = tuple(Row(changes=tuple(group)) for group in groups.values())
    return found if expand else _joined(found)


def _joined(found: Iterable[Row]) -> tuple[Row, ...]:
    """Rows of many services that one line of the fleet file changed alike, such as an image they share, as one."""
    groups: dict[Any, list[Row]] = {}
    for n, row in enumerate(found):
        first = row.first
        apart = first.action is Action.DESTROY or not first.fields or first.origin[:1] in ((), ("services",))
        groups.setdefault(n if apart else tuple(part for part in _alike(first) if part != first.service), []).append(
            row
        )
    joined = [
        group for rows in groups.values() for group in ([rows] if len(rows) >= _MANY else [[row] for row in rows])
    ]
    return tuple(Row(changes=tuple(change for row in group for change in row.changes)) for group in joined)


@lru_cache(maxsize=1 << 12)
def natural(text: str) -> tuple[tuple[int, str], ...]:
    """A sort key by which ``api-2`` comes before ``api-10``."""
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(text))


def values(field: Field, *, whole: bool = False) -> tuple[str, str]:
    """The old and the new value on one line each; amounts of memory with their unit."""
    if field.path.rpartition(".")[2] in _SIZES:
        return _sized(field.old), _sized(field.new)
    return value(field.old, whole=whole), value(field.new, whole=whole)


def value(value: Any, *, whole: bool = False) -> str:
    """A value on one line: digests by their first 12 digits, text as it is, the rest as JSON."""
    if value is None:
        return "(none)"
    if isinstance(value, str) and value and value == value.strip():
        return clean(value) if whole else _HEX.sub(_short, clean(value))
    return clean(json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str))


def place(change: Change, places: Mapping[str, str]) -> str:
    """Where the fleet file says so: ``fleet.yaml:31:7``; of the nearest enclosing entry; else the entry itself."""
    path = tuple(map(str, change.origin))
    for size in range(len(path), 0, -1):
        if found := places.get(".".join(path[:size])):
            return clean(str(found))
    return clean(".".join(path))


def _sized(amount: Any) -> str:
    return memory_text(amount) if isinstance(amount, int) else value(amount)


def _short(match: re.Match[str]) -> str:
    return match[0].rpartition(":")[2][:12]


def _order(change: Change) -> tuple[Any, ...]:
    early = 0 if change.order == "stop-first" else 1
    return (_RANK[change.action], early, natural(change.service), natural(change.subject), natural(change.host))


def _alike(change: Change) -> tuple[Any, ...]:
    return (
        change.action,
        change.symbol,
        _kind(change.subject),
        change.service,
        change.reason,
        tuple(_field(each) for each in change.fields),
        change.order_reason,
        change.detail,
        change.origin,
    )


def _field(field: Field) -> tuple[str, str, str]:
    return (field.path, repr(field.old), repr(field.new))


def _kind(subject: str) -> str:
    if subject in _OF_HOSTS:
        return subject
    kind, colon, _ = subject.partition(":")
    return kind if colon else "instance"


def _where(change: Change) -> str:
    if change.to_host and change.host and change.to_host != change.host:
        return f"from {clean(change.host)} to {clean(change.to_host)}"
    host = change.to_host or change.host
    return f"on {clean(host)}" if host else ""
