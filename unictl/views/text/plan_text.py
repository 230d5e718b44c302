"""A plan as lines of spans for a width. Pure.

Destructive changes come first and are never folded; equal changes are one row; unchanged instances are not shown;
the
summary is always the last line. A thousand equal changes fit on a screen.
"""

from collections.abc import Iterable, Mapping, Sequence

from unictl.plan.model.change import Field
from unictl.plan.model.plan import Counts, Endpoint, Plan
from unictl.views.text import problems, reasons, rollout
from unictl.views.text.fold import Row, natural, place, rows, values
from unictl.views.text.layout import EMPTY, clean, counted, elide, one, plain, some, wrap
from unictl.views.text.spans import Line, Span
from unictl.views.text.styles import ACTIONS

NOTHING = "No changes. The hosts run what the fleet file says."
_MOST_ENDPOINTS = 12
_MOST_FIELDS = 12
_INDENT = 6
"""Where what is said of a row begins: right of the symbols, left of the next row's columns."""
_LEGEND = {
    "-": "destroy",
    "-/+": "stop the old, then start the new",
    "+/-": "start the new, then stop the old",
    "+": "create",
    "~": "adjust, no guest is touched",
    "?": "unknown",
    "=": "held",
}


def plan(plan: Plan, width: int = 80, *, verbose: bool = False, following: Iterable[str] = ()) -> tuple[Line, ...]:
    """The plan as it is shown before it is applied; ``following`` comes before the summary, unbroken: it is copied."""
    found = rows(plan.changes, expand=verbose)
    told = [
        *_block(rows_of(plan, found, width, verbose=verbose)),
        *_block(endpoints(plan.endpoints, verbose=verbose) if plan.has_changes else ()),
        *_block(rollout.tightest(plan, width, verbose=verbose)),
        *_block(rollout.way_back(plan, width, verbose=verbose)),
        *_block(notes(plan, width)),
        *_block(relocked(plan, width)),
        *_block(problems.text(plan.warnings, width=width, counting=False) if plan.warnings else ()),
        *_block(_refused(plan, width)),
        *_block(reached(plan, width) if verbose else ()),
        *_block(one(clean(note)) for note in lasting(plan)),
        *_block(one(clean(note)) for note in following),
    ]
    head = [*_head(plan), *legend(found, width), EMPTY] if found else []
    return (*head, *told, one(summary(plan), "bold"))


def summary(plan: Plan) -> str:
    """The last line; greppable, and the same in every output."""
    quiet = not plan.has_changes and not plan.silent and plan.can_apply
    return NOTHING if quiet and not any(_moving(plan.counts)) else counts(plan.counts)


def counts(counts: Counts) -> str:
    """``Plan: 2 to add, 3 to replace, 1 to destroy, 4 to adjust, 41 unchanged.``"""
    rare = "".join(f"{n} {word}, " for n, word in ((counts.unknown, "unknown"), (counts.held, "held")) if n)
    return (
        f"Plan: {counts.add} to add, {counts.replace} to replace, {counts.destroy} to destroy, "
        f"{counts.adjust} to adjust, {rare}{counts.unchanged} unchanged."
    )


def endpoints(endpoints: Iterable[Endpoint], *, verbose: bool = False) -> tuple[Line, ...]:
    """What listens where, the published ones first."""
    ordered = sorted(endpoints, key=lambda each: (each.kind == "endpoint", natural(each.service), each.number))
    if not ordered:
        return ()
    shown = ordered if verbose or len(ordered) <= _MOST_ENDPOINTS else ordered[: _MOST_ENDPOINTS - 1]
    cells = [_listens(each) for each in shown]
    left = max(len(name) for name, _, _ in cells)
    right = max(len(address) for _, address, _ in cells)
    lines = [one(f"  {name.ljust(left)}  {address.ljust(right)}  {hosts}".rstrip()) for name, address, hosts in cells]
    rest = len(ordered) - len(shown)
    more = [one(f"  and {rest} more (-verbose shows them)", "dim")] if rest else []
    return (one("Listens:", "bold"), *lines, *more)


def _listens(endpoint: Endpoint) -> tuple[str, str, str]:
    published = "" if endpoint.kind == "endpoint" else "published "
    name = clean(f"{published}{endpoint.service}.{endpoint.port}")
    hosts = f"on {some([clean(host) for host in endpoint.hosts])}" if endpoint.hosts else ""
    return (name, f"{clean(endpoint.address) or '*'}:{endpoint.number}", hosts)


def _block(lines: Iterable[Line]) -> tuple[Line, ...]:
    block = tuple(lines)
    return (*block, EMPTY) if block else ()


def _moving(counts: Counts) -> tuple[int, ...]:
    return (counts.add, counts.replace, counts.destroy, counts.adjust, counts.unknown, counts.held)


def _head(plan: Plan) -> tuple[Line, ...]:
    commit = clean(plan.revision.commit)[:12]
    changed = "" if plan.revision.clean else " with local changes"
    return (one(f"Fleet {clean(plan.mark)}{f' at {commit}{changed}' if commit else ''}", "bold"),)


def legend(found: Sequence[Row], width: int) -> tuple[Line, ...]:
    """What the symbols mean that are used."""
    used = {row.first.symbol: ACTIONS[row.first.action] for row in found}
    spans = [(Span(symbol, used[symbol]), Span(f" {text}")) for symbol, text in _LEGEND.items() if symbol in used]
    lines: list[Line] = [()]
    for pair in spans:
        joined = (*lines[-1], Span("   "), *pair) if lines[-1] else pair
        if lines[-1] and len(plain(joined)) > width:
            lines.append(pair)
        else:
            lines[-1] = joined
    return tuple(lines)


def rows_of(plan: Plan, found: Sequence[Row], width: int, *, verbose: bool = False) -> tuple[Line, ...]:
    """Every row, then why; rows with the same reasons have them once, under the last."""
    label = min(24, max((len(row.label) for row in found), default=0))
    amount = min(34, max((len(row.amount) for row in found), default=0))
    bodies = [_body(row, width, verbose) for row in found]
    lines: list[Line] = []
    for n, row in enumerate(found):
        lines += _line(row, _places(plan), width, label, amount)
        followed = n + 1 < len(found) and bodies[n + 1] == bodies[n] and found[n + 1].first.action is row.first.action
        lines += () if followed else bodies[n]
    return tuple(lines)


def _line(row: Row, places: Mapping[str, str], width: int, label: int, amount: int) -> tuple[Line, ...]:
    """What, how many or where, the place in the fleet file: in columns; that on its own line if it must."""
    style = ACTIONS[row.first.action]
    left = (
        Span(row.first.symbol.rjust(3), style),
        Span(f" {row.label.ljust(label)}  ", style),
        Span(f"{row.amount.ljust(amount)}  "),
    )
    where = one(place(row.first, places), "dim")
    fits = sum(len(span.text) for span in (*left, *where)) <= width
    return ((*left, *where),) if fits else (left, (Span(" " * _INDENT), *where))


def _body(row: Row, width: int, verbose: bool) -> tuple[Line, ...]:
    """Why, in a sentence, with the code that machines know it by; then the fields in columns."""
    on = f" On {some([clean(host) for host in row.hosts])}." if len(row.hosts) > 1 and row.crowded else ""
    of = f" Of {some(list(map(clean, row.services)), most=6)}." if len(row.services) > 1 else ""
    told = wrap(reasons.sentence(row.first) + of + on, width, _INDENT)
    code = Span(f"({clean(row.first.reason)})", "dim")
    fits = bool(told) and len(plain(told[-1])) + 1 + len(code.text) <= width
    told = (*told[:-1], (*told[-1], Span(" "), code)) if fits else (*told, (Span(" " * _INDENT), code))
    shown = (
        row.first.fields if verbose or len(row.first.fields) <= _MOST_FIELDS else row.first.fields[: _MOST_FIELDS - 1]
    )
    column = min(32, max((len(clean(each.path)) for each in shown), default=0))
    rest = len(row.first.fields) - len(shown)
    more = [one(f"{' ' * _INDENT}and {rest} more (-verbose shows them)", "dim")] if rest else []
    return (*told, *(_field(each, width, column, verbose) for each in shown), *more)


def _field(field: Field, width: int, column: int, verbose: bool) -> Line:
    """``image.kernel  a1b2c3 -> d4e5f6``; what does not fit is left out of the middle, unless all is wanted."""
    path, (old, new) = clean(field.path).ljust(column), values(field, whole=verbose)
    room = max(24, width - _INDENT - len(path) - 6)
    if len(old) + len(new) > room and not verbose:
        half = room // 2
        left = min(len(old), max(half, room - len(new)))
        old, new = elide(old, left), elide(new, room - min(len(old), left))
    return (Span(" " * _INDENT), Span(path, "bold"), Span(f"  {old} -> {new}"))


def _places(plan: Plan) -> Mapping[str, str]:
    """Where things were written, by dotted path: display only, so it travels in ``Plan.facts``."""
    found = plan.facts.get("places", {})
    return found if isinstance(found, Mapping) else {}


def notes(plan: Plan, width: int) -> list[Line]:
    """What the plan does not know, leaves out, or does to all of the fleet."""
    silent = sorted(plan.silent.items(), key=lambda item: natural(item[0]))
    alone = "What runs there is unknown and left alone."
    told = [(f"{host} does not answer: {why.rstrip('.')}. {alone}", "warning") for host, why in silent]
    if plan.partial:
        rest = "The rest of the fleet is left as it is."
        told.append((f"This plan is partial: {plan.partial.rstrip('.')}. {rest}", "warning"))
    if plan.destroys_all and not plan.counts.held:
        told.append((f"This takes down all of {plan.mark}.", "destroy"))
    return [line for note, style in told for line in wrap(note, width, 0, style)]


def relocked(plan: Plan, width: int) -> tuple[Line, ...]:
    """What ``fleet.lock`` was given when the plan was made; nothing where it was only read."""
    words = written(plan)
    return wrap(f"fleet.lock: {some([clean(each) for each in words], most=6)}; commit it", width, 0) if words else ()


def written(plan: Plan) -> list[str]:
    """What was written into ``fleet.lock`` when the plan was made, in words."""
    words = plan.facts.get("relocked")
    return [str(each) for each in words] if isinstance(words, list) else []


def lasting(plan: Plan) -> tuple[str, ...]:
    """How long it may take, where earlier applies or its checks tell."""
    seconds = plan.facts.get("seconds")
    if not isinstance(seconds, int) or not plan.can_apply:
        return ()
    told = f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"
    match plan.facts.get("seconds_at_least"):
        case None:
            return (f"Takes about {told}, as earlier applies did.",)
        case "checks":
            return (f"Takes at least {told}: what starts has to stay healthy for that long.",)
        case _:
            return (f"Takes at least {told}; not all of its steps have been done before.",)


def reached(plan: Plan, width: int = 80) -> tuple[Line, ...]:
    """What asking the hosts took: that it is one round trip each is a promise, so it is shown."""
    asked: Mapping[str, Mapping[str, int]] = plan.facts.get("reached") or {}
    if not asked:
        return ()
    trips = sorted({each["round_trips"] for each in asked.values()})
    told = counted(trips[0], "round trip") if len(trips) == 1 else f"{trips[0]} to {trips[-1]} round trips"
    slowest = max(sorted(asked, key=natural), key=lambda host: asked[host]["took_ms"])
    took = f"{asked[slowest]['took_ms'] / 1000:.2f} s"
    many = f"{counted(len(asked), 'host')}, {told} each, the slowest {clean(slowest)} in {took}"
    return wrap(f"Asked {many if len(asked) > 1 else f'{clean(slowest)}: {told}, {took}'}.", width, 0)


def _refused(plan: Plan, width: int) -> tuple[Line, ...]:
    if not plan.refusals:
        return ()
    told = f"This plan is refused, for {counted(len(plan.refusals), 'reason')}; nothing was touched."
    return (*problems.text(plan.refusals, width=width, counting=False), EMPTY, one(told, "error"))
