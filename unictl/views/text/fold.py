"""Changes grouped into rows: destructive ones first, equal ones as one row. Pure.

Destroyed instances are never folded: each has its own row. Unchanged ones have none.
"""

import json
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from unictl.fleet.quantities import format_memory
from unictl.plan.model.change import Action, Change, Field
from unictl.views.text import sorting
from unictl.views.text.layout import count_of, sanitize

_ORDER = (Action.DESTROY, Action.REPLACE, Action.MOVE, Action.CREATE, Action.ADJUST, Action.UNKNOWN, Action.HELD)
_RANK = {action: rank for rank, action in enumerate(_ORDER)} | {Action.MOVE: _ORDER.index(Action.REPLACE)}
_HEX = re.compile(r"(?:(?:sha256|v?\d+):)?[0-9a-f]{40,64}")


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
            return sanitize(self.first.subject)
        if len(self.services) > 1:
            return count_of(len(self.services), "service")
        return sanitize(self.first.service or _subject_kind(self.first.subject))

    @property
    def amount(self) -> str:
        """``40 instances on 7 hosts``, ``2 instances on hv1, hv2``; of one, ``on hv1``, or ``from hv1 to hv2``."""
        if len(self.changes) == 1:
            return _location_text(self.first)
        kind = _subject_kind(self.first.subject)
        number = count_of(len(self.changes), _NOUNS.get(kind, "instance"))
        if kind in _HOST_SUBJECTS or not self.hosts:
            return number
        return f"{number} on {count_of(len(self.hosts), 'host') if self.has_many_hosts else self._host_names}"

    @property
    def has_many_hosts(self) -> bool:
        """Whether its hosts are too many to be named where they are counted."""
        return _subject_kind(self.first.subject) in _HOST_SUBJECTS or len(self._host_names) > _MAX_HOST_NAMES_LENGTH

    @property
    def _host_names(self) -> str:
        return ", ".join(map(sanitize, self.hosts))

    @property
    def services(self) -> tuple[str, ...]:
        """Of which services, in natural order."""
        return tuple(sorted({change.service for change in self.changes if change.service}, key=sorting.natural_key))

    @property
    def hosts(self) -> tuple[str, ...]:
        """On which hosts, in natural order."""
        return tuple(
            sorted(
                {change.to_host or change.host for change in self.changes if change.to_host or change.host},
                key=sorting.natural_key,
            )
        )


_NOUNS = {"ingress": "host", "policy": "host", "fleet": "host", "volume": "volume"}
_HOST_SUBJECTS = ("ingress", "policy", "fleet")
_MAX_HOST_NAMES_LENGTH = 16
"""Characters that the names of a row's hosts may take."""
_MIN_SHARED_SERVICES = 5
"""From as many services on, one row says what they have in common."""
_SIZES = ("memory", "overhead", "size")


def fold_rows(changes: Iterable[Change], *, expand: bool = False) -> tuple[Row, ...]:
    """The rows of a plan in the order they are shown; ``expand`` folds nothing."""
    groups: dict[Hashable, list[Change]] = {}
    for change in sorted((candidate for candidate in changes if candidate.action in _RANK), key=_sort_key):
        is_single = expand or change.action is Action.DESTROY
        groups.setdefault((change.subject, change.host) if is_single else _group_key(change), []).append(change)
    folded = tuple(Row(changes=tuple(group)) for group in groups.values())
    return folded if expand else _merge_across_services(folded)


def _merge_across_services(folded: Iterable[Row]) -> tuple[Row, ...]:
    """Rows of many services that one line of the fleet file changed alike, such as an image they share, as one."""
    groups: dict[Hashable, list[Row]] = {}
    for index, folded_row in enumerate(folded):
        first = folded_row.first
        is_separate = first.action is Action.DESTROY or not first.fields or first.origin[:1] in ((), ("services",))
        groups.setdefault(
            index if is_separate else tuple(part for part in _group_key(first) if part != first.service), []
        ).append(folded_row)
    joined = [
        group
        for similar_rows in groups.values()
        for group in (
            [similar_rows]
            if len(similar_rows) >= _MIN_SHARED_SERVICES
            else [[folded_row] for folded_row in similar_rows]
        )
    ]
    return tuple(
        Row(changes=tuple(change for folded_row in group for change in folded_row.changes)) for group in joined
    )


def field_values(field: Field, *, is_whole: bool = False) -> tuple[str, str]:
    """The old and the new value on one line each; amounts of memory with their unit."""
    if field.path.rpartition(".")[2] in _SIZES:
        return _format_size(field.old), _format_size(field.new)
    return format_value(field.old, is_whole=is_whole), format_value(field.new, is_whole=is_whole)


def format_value(value: Any, *, is_whole: bool = False) -> str:
    """A value on one line: digests by their first 12 digits, text as it is, the rest as JSON."""
    if value is None:
        return "(none)"
    if isinstance(value, str) and value and value == value.strip():
        return sanitize(value) if is_whole else _HEX.sub(_shorten_digest, sanitize(value))
    return sanitize(json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str))


def origin_place(change: Change, places: Mapping[str, str]) -> str:
    """Where the fleet file says so: ``fleet.yaml:31:7``; of the nearest enclosing entry; else the entry itself."""
    path = tuple(map(str, change.origin))
    for size in range(len(path), 0, -1):
        if location := places.get(".".join(path[:size])):
            return sanitize(str(location))
    return sanitize(".".join(path))


def _format_size(amount: Any) -> str:
    return format_memory(amount) if isinstance(amount, int) else format_value(amount)


def _shorten_digest(match: re.Match[str]) -> str:
    return match[0].rpartition(":")[2][:12]


def _sort_key(change: Change) -> tuple[Any, ...]:
    early = 0 if change.order == "stop-first" else 1
    return (
        _RANK[change.action],
        early,
        sorting.natural_key(change.service),
        sorting.natural_key(change.subject),
        sorting.natural_key(change.host),
    )


def _group_key(change: Change) -> tuple[Any, ...]:
    return (
        change.action,
        change.symbol,
        _subject_kind(change.subject),
        change.service,
        change.reason,
        tuple(_field_key(changed_field) for changed_field in change.fields),
        change.order_reason,
        change.detail,
        change.origin,
    )


def _field_key(field: Field) -> tuple[str, str, str]:
    return (field.path, repr(field.old), repr(field.new))


def _subject_kind(subject: str) -> str:
    if subject in _HOST_SUBJECTS:
        return subject
    kind, colon, _ = subject.partition(":")
    return kind if colon else "instance"


def _location_text(change: Change) -> str:
    if change.to_host and change.host and change.to_host != change.host:
        return f"from {sanitize(change.host)} to {sanitize(change.to_host)}"
    host = change.to_host or change.host
    return f"on {sanitize(host)}" if host else ""
