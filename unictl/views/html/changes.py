"""The changes section of the page: every row with its reason and fields, destructive ones first. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.plan import Plan
from unictl.views.html.elements import Html, element, place_suffix, raw_markup, section
from unictl.views.text import reasons
from unictl.views.text.fold import Row, field_values, origin_place
from unictl.views.text.layout import count_of
from unictl.views.text.sorting import natural_key

_ACTION_NAMES = {
    Action.DESTROY: "destroy",
    Action.REPLACE: "replace",
    Action.MOVE: "move",
    Action.CREATE: "create",
    Action.ADJUST: "adjust",
    Action.UNKNOWN: "unknown",
    Action.HELD: "held",
}
_ACTION_TITLES = {
    "destroy": "Destroyed",
    "replace": "Replaced",
    "move": "Moved",
    "create": "Created",
    "adjust": "Adjusted: no guest is touched",
    "unknown": "Unknown: left alone",
    "held": "Held: not done now",
}
FILTER_FROM = 8
"""From so many rows on there is a filter."""


def changes_section(plan: Plan, shown: tuple[Row, ...]) -> Html:
    """The section of ``shown``, grouped by what is done."""
    if not shown:
        return Html("")
    groups: defaultdict[str, list[Html]] = defaultdict(list)
    for folded_row in shown:
        name = _ACTION_NAMES[folded_row.first.action]
        groups[name].append(_row_article(folded_row, plan.facts.places, name))
    filter_input = element(
        "input",
        type="search",
        id="filter",
        placeholder="Filter the changes",
        aria_label="Filter the changes",
        hidden=True,
    )
    parts = (
        element("div", element("h3", _ACTION_TITLES[name], class_=f"head {name}"), *articles, class_="group")
        for name, articles in groups.items()
    )
    rows_note = count_of(len(shown), "row")
    return section("Changes", rows_note, filter_input if len(shown) >= FILTER_FROM else None, *parts)


def _row_article(folded_row: Row, places: Mapping[str, str], style: str) -> Html:
    first = folded_row.first
    headline = element(
        "p",
        element("span", first.symbol, class_="symbol"),
        " ",
        element("b", folded_row.label),
        " ",
        element("span", folded_row.amount, class_="amount"),
        *place_suffix(origin_place(first, places)),
        class_="what",
    )
    return element(
        "article",
        headline,
        element("p", reasons.sentence(first), " ", element("code", first.reason), class_="why"),
        _field_list(first.fields),
        _instances_by_host(folded_row.changes) if len(folded_row.changes) > 1 else None,
        class_=f"row {style}",
    )


def _field_list(fields: Iterable[Field]) -> Html | None:
    cells = [_field_item(changed_field) for changed_field in fields]
    return element("dl", *cells) if cells else None


def _field_item(field: Field) -> Html:
    old, new = field_values(field)
    change = (element("del", old), raw_markup(" → "), element("ins", new))
    return element("div", element("dt", field.path), element("dd", *change))


def _instances_by_host(changes: tuple[Change, ...]) -> Html:
    """The instances of a folded row, by host."""
    by_host: defaultdict[str, list[str]] = defaultdict(list)
    for change in changes:
        by_host[change.to_host or change.host].append(change.subject)
    lines = (
        element("li", element("b", host or "no host"), " ", ", ".join(sorted(names, key=natural_key)))
        for host, names in sorted(by_host.items(), key=lambda item: natural_key(item[0]))
    )
    return element("details", element("summary", f"All {len(changes)}, by host"), element("ul", *lines, class_="who"))
