"""A plan as one HTML page that needs nothing else: no file, no network, no script to be read. Pure.

Everything a person must decide by stands unfolded, what is destroyed first; only lists of names are folded. The page
forbids itself everything but its own style, its own picture and its own filter.
"""

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from unictl import __version__
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.fleet.quantities import memory_text
from unictl.plan import approval, planfile
from unictl.plan.change import Action, Change, Field
from unictl.plan.plan import Plan
from unictl.views import drawing, graph, page_style, reasons, text
from unictl.views.fold import Row, natural, place, rows, values
from unictl.views.html import Child, Html, element, joined, raw
from unictl.views.layout import counted, plain

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
_MANY = 8
"""From so many rows on there is a filter."""


def plan(plan: Plan) -> str:
    """The page."""
    shown = rows(plan.changes)
    parts = (
        _header(plan),
        _notes(plan),
        _problems("Refused", plan.refusals, "error"),
        _problems("Warnings", plan.warnings, "warning"),
        _changes(plan, shown),
        _order(plan),
        _waves(plan),
        _listens(plan),
        _capacity(plan),
        _footer(plan),
    )
    script = page_style.SCRIPT if len(shown) >= _MANY else ""
    return f"<!doctype html>\n{element('html', _head(plan, script), _body(parts, script), lang='en')}\n"


def _head(plan: Plan, script: str) -> Html:
    allowed = f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; {allowed}"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Plan for {plan.mark}"),
        element("style", raw(page_style.STYLE)),
    )


def _body(parts: Iterable[Html], script: str) -> Html:
    return element("body", element("main", *parts), element("script", raw(script)) if script else None)


def _header(plan: Plan) -> Html:
    facts = [_revision(plan), *([f"environment {plan.environment}"] if plan.environment else []), *_subject(plan)]
    return element(
        "header",
        element("p", "Plan for", class_="over"),
        element("h1", plan.mark),
        element("p", " · ".join(facts), class_="facts"),
        _tiles(plan),
        _verdict(plan),
    )


def _verdict(plan: Plan) -> Html:
    """Whether it can be applied, and the last line of the text."""
    if plan.can_apply:
        told = "Nothing stops this plan." if plan.has_changes else ""
        return element("p", element("b", told) if told else None, element("span", text.summary(plan)), class_="verdict")
    told = f"Refused, for {counted(len(plan.refusals), 'reason')}: nothing of it can be applied."
    return element("p", element("b", told), element("span", text.summary(plan)), class_="verdict refused")


def _revision(plan: Plan) -> str:
    changed = "" if plan.revision.clean else " with local changes"
    return f"commit {plan.revision.commit[:12]}{changed}" if plan.revision.commit else "no commit"


def _subject(plan: Plan) -> list[str]:
    return [plan.revision.subject] if plan.revision.subject else []


def _tiles(plan: Plan) -> Html:
    numbers = plan.counts
    told = (
        ("destroy", numbers.destroy, "destroyed"),
        ("replace", numbers.replace, "replaced"),
        ("create", numbers.add, "created"),
        ("adjust", numbers.adjust, "adjusted"),
        ("unknown", numbers.unknown, "unknown"),
        ("held", numbers.held, "held"),
        ("keep", numbers.unchanged, "unchanged"),
    )
    tiles = (
        element("li", element("b", str(number)), element("span", word), class_=f"tile {style if number else 'none'}")
        for style, number, word in told
        if number or style not in ("unknown", "held")
    )
    return element("ul", *tiles, class_="tiles")


def _notes(plan: Plan) -> Html:
    """What the plan does not know, or leaves out."""
    return joined(element("p", plain(line), class_="note") for line in text.notes(plan, 10_000))


def _problems(title: str, found: Iterable[Diagnostic], style: str) -> Html:
    cards = [_problem(each, style) for each in found]
    return _section(title, f"{counted(len(cards), 'reason' if style == 'error' else 'warning')}", *cards)


def _problem(problem: Diagnostic, style: str) -> Html:
    return element(
        "article",
        element("h3", problem.summary),
        element("p", problem.detail) if problem.detail else None,
        element("pre", problem.source) if problem.source.strip() else None,
        element("p", element("b", "Next: "), problem.hint) if problem.hint else None,
        element(
            "p", element("code", problem.code), *_where(str(problem.place) if problem.place else ""), class_="code"
        ),
        class_=f"card {style}",
    )


def _where(told: str) -> tuple[Child, ...]:
    return (" ", element("span", told, class_="place")) if told else ()


def _section(title: str, note: str, *children: Child) -> Html:
    """A part of the page; nothing where there is nothing in it."""
    inner = joined(children)
    if not inner:
        return Html("")
    return element("section", element("h2", title, element("small", note) if note else None), inner)


def _changes(plan: Plan, shown: tuple[Row, ...]) -> Html:
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
    return _section("Changes", rows_told, filtered if len(shown) >= _MANY else None, *parts)


def _row(row: Row, places: Mapping[str, str], style: str) -> Html:
    first = row.first
    head = element(
        "p",
        element("span", first.symbol, class_="symbol"),
        " ",
        element("b", row.label),
        " ",
        element("span", row.amount, class_="amount"),
        *_where(place(first, places)),
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


def _order(plan: Plan) -> Html:
    drawn = drawing.folded(plan)
    if not drawn.nodes:
        return Html("")
    picture = element("div", raw(graph.svg(drawn, alone=False)), class_="picture", tabindex="0")
    told = "from left to right; what an arrow points to waits for what it comes from"
    return _section("Order", told, picture)


def _waves(plan: Plan) -> Html:
    by_service: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for wave in plan.waves:
        by_service[str(wave["service"])].append(wave)
    cells = [
        element("tr", element("th", name, scope="row"), element("td", *map(_wave, waves)))
        for name, waves in sorted(by_service.items(), key=lambda item: natural(item[0]))
    ]
    if not cells:
        return Html("")
    note = (
        "each begins when the one before it is healthy; when one fails, it is taken back, and the rest does not begin"
    )
    return _section("Waves", note, _table(("service", "waves"), cells))


def _wave(wave: Mapping[str, Any]) -> Html:
    names = list(map(str, wave["instances"]))
    undo = wave.get("undo", {})
    told = f"{counted(len(names), 'instance')}{', canary' if wave.get('canary') else ''}"
    back = str(undo.get("line", "")).rstrip(".")
    return element(
        "details",
        element("summary", f"{wave['wave']}: {told}"),
        element("p", ", ".join(names)),
        element("p", f"If it fails: {back}.") if back else None,
        class_="wave",
    )


def _table(head: Iterable[str], lines: Iterable[Html]) -> Html:
    columns = (element("th", each, scope="col") for each in head)
    table = element("table", element("thead", element("tr", *columns)), element("tbody", *lines))
    return element("div", table, class_="wide")


def _listens(plan: Plan) -> Html:
    ordered = sorted(plan.endpoints, key=lambda each: (each.kind == "endpoint", natural(each.service), each.number))
    lines = [
        element(
            "tr",
            element(
                "th",
                f"{each.service}.{each.port}",
                element("small", "published") if each.kind != "endpoint" else None,
                scope="row",
            ),
            element("td", f"{each.address or '*'}:{each.number}"),
            element("td", ", ".join(each.hosts)),
        )
        for each in ordered
    ]
    if not lines:
        return Html("")
    return _section("Listens", "once this is applied", _table(("service", "address", "on"), lines))


def _capacity(plan: Plan) -> Html:
    """What the plan takes and gives back, by host: it counts changes, and knows nothing of what is free there."""
    starts: defaultdict[str, list[int]] = defaultdict(list)
    ends: defaultdict[str, list[int]] = defaultdict(list)
    for each in plan.changes:
        if each.new and each.action in (Action.CREATE, Action.REPLACE, Action.MOVE):
            starts[each.new.host].append(each.new.wished.memory + each.new.wished.overhead)
        if each.old and each.action in (Action.DESTROY, Action.REPLACE, Action.MOVE):
            ends[each.old.host].append(each.old.memory + each.old.overhead)
    lines = [
        element(
            "tr",
            element("th", host, scope="row"),
            element("td", _amount(starts[host])),
            element("td", _amount(ends[host])),
        )
        for host in sorted({*starts, *ends}, key=natural)
    ]
    if not lines:
        return Html("")
    note = "memory of guests and their hypervisors; create-first holds both for a while"
    return _section("Capacity", note, _table(("host", "starts", "ends"), lines))


def _amount(sizes: list[int]) -> str:
    return f"{counted(len(sizes), 'instance')}, {memory_text(sum(sizes))}" if sizes else "none"


def _footer(plan: Plan) -> Html:
    hashes = (("Plan hash", planfile.plan_hash(plan)), ("Approval hash", approval.approval_hash(plan)))
    cells = (element("div", element("dt", name), element("dd", element("code", value))) for name, value in hashes)
    return element("footer", element("dl", *cells), element("p", f"unictl {__version__}"))
