"""The changes section of the page: every row with its reason and fields, destructive ones first. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.plan import Plan
from unictl.views.html.elements import Html, element, raw, section, where
from unictl.views.text import reasons
from unictl.views.text.fold import Row, natural, place, values
from unictl.views.text.layout import counted

_NAMES = {
    Action.DESTROY: "destroy",
    Action.REPLACE: "replace",
    Action.MOVE: "move",
    Action.CREATE: "create",
    Action.ADJUST: "adjust",
    Action.UNKNOWN: "unknown",
    Action.HELD: "held",
}
_HEADS = {
    "destroy": "Destroyed",
    "replace": "Replaced",
    "move": "Moved",
    "create": "Created",
    "adjust": "Adjusted: no guest is touched",
    "unknown": "Unknown: left alone",
    "held": "Held: not done now",
}
MANY = 8
"""From so many rows on there is a filter."""


def changes(plan: Plan, shown: tuple[Row, ...]) -> Html:
    """The section of ``shown``, grouped by what is done."""
    if not shown:
        return Html("")
    known = plan.facts.get("places", {})
    places = known if isinstance(known, Mapping) else {}
    groups: defaultdict[str, list[Html]] = defaultdict(list)
    for row in shown:
        name = _NAMES[row.first.action]
        groups[name].append(_row(row, places, name))
    filtered = element(
        "input",
        type="search",
        id="filter",
        placeholder="Filter the changes",
        aria_label="Filter the changes",
        hidden=True,
    )
    parts = (
        element("div", element("h3", _HEADS[name], class_=f"head {name}"), *found, class_="group")
        for name, found in groups.items()
    )
    rows_told = counted(len(shown), "row")
    return section("Changes", rows_told, filtered if len(shown) >= MANY else None, *parts)


def _row(row: Row, places: Mapping[str, str], style: str) -> Html:
    first = row.first
    head = element(
        "p",
        element("span", first.symbol, class_="symbol"),
        " ",
        element("b", row.label),
        " ",
        element("span", row.amount, class_="amount"),
        *where(place(first, places)),
        class_="what",
    )
    return element(
        "article",
        head,
        element("p", reasons.sentence(first), " ", element("code", first.reason), class_="why"),
        _fields(first.fields),
        _who(row.changes) if len(row.changes) > 1 else None,
        class_=f"row {style}",
    )


def _fields(fields: Iterable[Field]) -> Html | None:
    cells = [_field(each) for each in fields]
    return element("dl", *cells) if cells else None


def _field(field: Field) -> Html:
    old, new = values(field)
    change = (element("del", old), raw(" → "), element("ins", new))
    return element("div", element("dt", field.path), element("dd", *change))


def _who(changes: tuple[Change, ...]) -> Html:
    """The instances of a folded row, by host."""
    by_host: defaultdict[str, list[str]] = defaultdict(list)
    for each in changes:
        by_host[each.to_host or each.host].append(each.subject)
    lines = (
        element("li", element("b", host or "no host"), " ", ", ".join(sorted(names, key=natural)))
        for host, names in sorted(by_host.items(), key=lambda item: natural(item[0]))
    )
    return element("details", element("summary", f"All {len(changes)}, by host"), element("ul", *lines, class_="who"))
