"""A plan as lines of spans for a width. Pure.

Destructive changes come first and are never folded; equal changes are one row; unchanged instances are not shown;
the summary is always the last line. A thousand equal changes fit on a screen.
"""

from collections.abc import Iterable, Mapping, Sequence

from unictl.plan.model.change import Field
from unictl.plan.model.plan import Counts, Endpoint, Plan
from unictl.views.text import problems, reasons, rollout
from unictl.views.text.fold import Row, field_values, fold_rows, origin_place
from unictl.views.text.layout import EMPTY, abbreviate, count_of, elide, plain_text, sanitize, styled_line, wrap
from unictl.views.text.sorting import natural_key
from unictl.views.text.spans import Line, Span
from unictl.views.text.styles import ACTION_STYLES

NO_CHANGES = "No changes. The hosts run what the fleet file says."
_MAX_ENDPOINTS = 12
_MAX_FIELDS = 12
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


def render(plan: Plan, width: int = 80, *, verbose: bool = False, next_steps: Iterable[str] = ()) -> tuple[Line, ...]:
    """The plan as it is shown before it is applied; ``next_steps`` comes before the summary, unbroken: it is copied."""
    folded = fold_rows(plan.changes, expand=verbose)
    blocks = [
        *_with_blank_line(row_lines(plan, folded, width, verbose=verbose)),
        *_with_blank_line(endpoint_lines(plan.endpoints, verbose=verbose) if plan.has_changes else ()),
        *_with_blank_line(rollout.headroom_lines(plan, width, verbose=verbose)),
        *_with_blank_line(rollout.rollback_lines(plan, width, verbose=verbose)),
        *_with_blank_line(note_lines(plan, width)),
        *_with_blank_line(lock_change_lines(plan, width)),
        *_with_blank_line(problems.render(plan.warnings, width=width, counting=False) if plan.warnings else ()),
        *_with_blank_line(_refusal_lines(plan, width)),
        *_with_blank_line(query_cost_lines(plan, width) if verbose else ()),
        *_with_blank_line(styled_line(sanitize(note)) for note in duration_sentences(plan)),
        *_with_blank_line(styled_line(sanitize(note)) for note in next_steps),
    ]
    head = [*_head_lines(plan), *legend_lines(folded, width), EMPTY] if folded else []
    return (*head, *blocks, styled_line(summary(plan), "bold"))


def summary(plan: Plan) -> str:
    """The last line; greppable, and the same in every output."""
    quiet = not plan.has_changes and not plan.silent and plan.can_apply
    return NO_CHANGES if quiet and not any(_change_counts(plan.counts)) else counts_text(plan.counts)


def counts_text(counts: Counts) -> str:
    """``Plan: 2 to add, 3 to replace, 1 to destroy, 4 to adjust, 41 unchanged.``"""
    rare = "".join(
        f"{number} {word}, " for number, word in ((counts.unknown, "unknown"), (counts.held, "held")) if number
    )
    return (
        f"Plan: {counts.add} to add, {counts.replace} to replace, {counts.destroy} to destroy, "
        f"{counts.adjust} to adjust, {rare}{counts.unchanged} unchanged."
    )


def endpoint_lines(endpoints: Iterable[Endpoint], *, verbose: bool = False) -> tuple[Line, ...]:
    """What listens where, the published ones first."""
    ordered = sorted(
        endpoints, key=lambda endpoint: (endpoint.kind == "endpoint", natural_key(endpoint.service), endpoint.number)
    )
    if not ordered:
        return ()
    shown = ordered if verbose or len(ordered) <= _MAX_ENDPOINTS else ordered[: _MAX_ENDPOINTS - 1]
    cells = [_endpoint_cells(endpoint) for endpoint in shown]
    name_width = max(len(name) for name, _, _ in cells)
    address_width = max(len(address) for _, address, _ in cells)
    lines = [
        styled_line(f"  {name.ljust(name_width)}  {address.ljust(address_width)}  {hosts}".rstrip())
        for name, address, hosts in cells
    ]
    hidden_count = len(ordered) - len(shown)
    more_lines = [styled_line(f"  and {hidden_count} more (-verbose shows them)", "dim")] if hidden_count else []
    return (styled_line("Listens:", "bold"), *lines, *more_lines)


def _endpoint_cells(endpoint: Endpoint) -> tuple[str, str, str]:
    published = "" if endpoint.kind == "endpoint" else "published "
    name = sanitize(f"{published}{endpoint.service}.{endpoint.port}")
    hosts = f"on {abbreviate([sanitize(host) for host in endpoint.hosts])}" if endpoint.hosts else ""
    return (name, f"{sanitize(endpoint.address) or '*'}:{endpoint.number}", hosts)


def _with_blank_line(lines: Iterable[Line]) -> tuple[Line, ...]:
    block = tuple(lines)
    return (*block, EMPTY) if block else ()


def _change_counts(counts: Counts) -> tuple[int, ...]:
    return (counts.add, counts.replace, counts.destroy, counts.adjust, counts.unknown, counts.held)


def _head_lines(plan: Plan) -> tuple[Line, ...]:
    commit = sanitize(plan.revision.commit)[:12]
    changed = "" if plan.revision.clean else " with local changes"
    return (styled_line(f"Fleet {sanitize(plan.mark)}{f' at {commit}{changed}' if commit else ''}", "bold"),)


def legend_lines(folded: Sequence[Row], width: int) -> tuple[Line, ...]:
    """What the symbols mean that are used."""
    style_by_symbol = {folded_row.first.symbol: ACTION_STYLES[folded_row.first.action] for folded_row in folded}
    spans = [
        (Span(symbol, style_by_symbol[symbol]), Span(f" {text}"))
        for symbol, text in _LEGEND.items()
        if symbol in style_by_symbol
    ]
    lines: list[Line] = [()]
    for pair in spans:
        joined = (*lines[-1], Span("   "), *pair) if lines[-1] else pair
        if lines[-1] and len(plain_text(joined)) > width:
            lines.append(pair)
        else:
            lines[-1] = joined
    return tuple(lines)


def row_lines(plan: Plan, folded: Sequence[Row], width: int, *, verbose: bool = False) -> tuple[Line, ...]:
    """Every row, then why; rows with the same reasons have them once, under the last."""
    label = min(24, max((len(folded_row.label) for folded_row in folded), default=0))
    amount = min(34, max((len(folded_row.amount) for folded_row in folded), default=0))
    bodies = [_row_body_lines(folded_row, width, verbose) for folded_row in folded]
    lines: list[Line] = []
    for index, folded_row in enumerate(folded):
        lines += _row_head_lines(folded_row, _places_by_path(plan), width, label, amount)
        is_repeated = (
            index + 1 < len(folded)
            and bodies[index + 1] == bodies[index]
            and folded[index + 1].first.action is folded_row.first.action
        )
        lines += () if is_repeated else bodies[index]
    return tuple(lines)


def _row_head_lines(
    folded_row: Row, places: Mapping[str, str], width: int, label: int, amount: int
) -> tuple[Line, ...]:
    """What, how many or where, the place in the fleet file: in columns; that on its own line if it must."""
    style = ACTION_STYLES[folded_row.first.action]
    columns = (
        Span(folded_row.first.symbol.rjust(3), style),
        Span(f" {folded_row.label.ljust(label)}  ", style),
        Span(f"{folded_row.amount.ljust(amount)}  "),
    )
    location = styled_line(origin_place(folded_row.first, places), "dim")
    fits = sum(len(span.text) for span in (*columns, *location)) <= width
    return ((*columns, *location),) if fits else (columns, (Span(" " * _INDENT), *location))


def _row_body_lines(folded_row: Row, width: int, verbose: bool) -> tuple[Line, ...]:
    """Why, in a sentence, with the code that machines know it by; then the fields in columns."""
    hosts_note = (
        f" On {abbreviate([sanitize(host) for host in folded_row.hosts])}."
        if len(folded_row.hosts) > 1 and folded_row.has_many_hosts
        else ""
    )
    services_note = (
        f" Of {abbreviate(list(map(sanitize, folded_row.services)), most=6)}." if len(folded_row.services) > 1 else ""
    )
    sentence_lines = wrap(reasons.sentence(folded_row.first) + services_note + hosts_note, width, _INDENT)
    code = Span(f"({sanitize(folded_row.first.reason)})", "dim")
    fits = bool(sentence_lines) and len(plain_text(sentence_lines[-1])) + 1 + len(code.text) <= width
    sentence_lines = (
        (*sentence_lines[:-1], (*sentence_lines[-1], Span(" "), code))
        if fits
        else (*sentence_lines, (Span(" " * _INDENT), code))
    )
    shown = (
        folded_row.first.fields
        if verbose or len(folded_row.first.fields) <= _MAX_FIELDS
        else folded_row.first.fields[: _MAX_FIELDS - 1]
    )
    column = min(32, max((len(sanitize(changed_field.path)) for changed_field in shown), default=0))
    hidden_count = len(folded_row.first.fields) - len(shown)
    more_lines = (
        [styled_line(f"{' ' * _INDENT}and {hidden_count} more (-verbose shows them)", "dim")] if hidden_count else []
    )
    return (
        *sentence_lines,
        *(_field_line(changed_field, width, column, verbose) for changed_field in shown),
        *more_lines,
    )


def _field_line(field: Field, width: int, column: int, verbose: bool) -> Line:
    """``image.kernel  a1b2c3 -> d4e5f6``; what does not fit is left out of the middle, unless all is wanted."""
    path, (old, new) = sanitize(field.path).ljust(column), field_values(field, is_whole=verbose)
    room = max(24, width - _INDENT - len(path) - 6)
    if len(old) + len(new) > room and not verbose:
        half = room // 2
        old_size = min(len(old), max(half, room - len(new)))
        old, new = elide(old, old_size), elide(new, room - min(len(old), old_size))
    return (Span(" " * _INDENT), Span(path, "bold"), Span(f"  {old} -> {new}"))


def _places_by_path(plan: Plan) -> Mapping[str, str]:
    """Where things were written, by dotted path: display only, so it travels in ``Plan.facts``."""
    return plan.facts.places


def note_lines(plan: Plan, width: int) -> list[Line]:
    """What the plan does not know, leaves out, or does to all of the fleet."""
    unreachable = sorted(plan.silent.items(), key=lambda item: natural_key(item[0]))
    consequence = "What runs there is unknown and left alone."
    styled_notes = [
        (f"{host} does not answer: {reason.rstrip('.')}. {consequence}", "warning") for host, reason in unreachable
    ]
    if plan.partial:
        scope_note = "The rest of the fleet is left as it is."
        styled_notes.append((f"This plan is partial: {plan.partial.rstrip('.')}. {scope_note}", "warning"))
    if plan.destroys_all and not plan.counts.held:
        styled_notes.append((f"This takes down all of {plan.mark}.", "destroy"))
    return [line for note, style in styled_notes for line in wrap(note, width, 0, style)]


def lock_change_lines(plan: Plan, width: int) -> tuple[Line, ...]:
    """What ``fleet.lock`` was given when the plan was made; nothing where it was only read."""
    words = lock_changes(plan)
    return (
        wrap(f"fleet.lock: {abbreviate([sanitize(word) for word in words], most=6)}; commit it", width, 0)
        if words
        else ()
    )


def lock_changes(plan: Plan) -> list[str]:
    """What was written into ``fleet.lock`` when the plan was made, in words."""
    return list(plan.facts.relocked)


def duration_sentences(plan: Plan) -> tuple[str, ...]:
    """How long it may take, where earlier applies or its checks tell."""
    seconds = plan.facts.seconds
    if seconds is None or not plan.can_apply:
        return ()
    duration_text = f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"
    match plan.facts.seconds_at_least:
        case "":
            return (f"Takes about {duration_text}, as earlier applies did.",)
        case "checks":
            return (f"Takes at least {duration_text}: what starts has to stay healthy for that long.",)
        case _:
            return (f"Takes at least {duration_text}; not all of its steps have been done before.",)


def query_cost_lines(plan: Plan, width: int = 80) -> tuple[Line, ...]:
    """What asking the hosts took: that it is one round trip each is a promise, so it is shown."""
    costs_by_host = plan.facts.reached
    if not costs_by_host:
        return ()
    trips = sorted({cost.round_trips for cost in costs_by_host.values()})
    trips_text = count_of(trips[0], "round trip") if len(trips) == 1 else f"{trips[0]} to {trips[-1]} round trips"
    slowest = max(sorted(costs_by_host, key=natural_key), key=lambda host: costs_by_host[host].took_ms)
    duration_text = f"{costs_by_host[slowest].took_ms / 1000:.2f} s"
    hosts_text = (
        f"{count_of(len(costs_by_host), 'host')}, {trips_text} each, the slowest {sanitize(slowest)} in {duration_text}"
    )
    return wrap(
        f"Asked {hosts_text if len(costs_by_host) > 1 else f'{sanitize(slowest)}: {trips_text}, {duration_text}'}.",
        width,
        0,
    )


def _refusal_lines(plan: Plan, width: int) -> tuple[Line, ...]:
    if not plan.refusals:
        return ()
    sentence = f"This plan is refused, for {count_of(len(plan.refusals), 'reason')}; nothing was touched."
    return (*problems.render(plan.refusals, width=width, counting=False), EMPTY, styled_line(sentence, "error"))
