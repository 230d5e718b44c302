"""A prediction of `whatif` as lines for a width and as a JSON document. Pure.

Services without changes are counted, not listed; moves of one service between the same hosts are one row.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from unictl.fleet.quantities import format_memory
from unictl.plan.whatif.whatif import Prediction, ServiceForecast, VolumeForecast
from unictl.views.text.layout import EMPTY, abbreviate, count_of, format_table, sanitize, styled_line, wrap
from unictl.views.text.sorting import natural_key
from unictl.views.text.spans import Line

_VOLUME_FATES = {
    "lost": "is lost with its host",
    "begins-empty": "is lost with its host; {user} begins anew with an empty one (accept_loss)",
    "held": "is lost with its host; {user} stays down until the host is back, or accept_loss says it may begin empty",
    "unused": "has no user any more, and stays",
}


def render(prediction: Prediction, basis: str, width: int = 80, *, verbose: bool = False) -> tuple[Line, ...]:
    """The answer; ``basis`` says in a sentence what it rests on. The last line sums it up."""
    question_text = sanitize(prediction.scenario.description)
    blocks = (
        (
            *wrap(f"What if {question_text}?" if question_text else "As it is", width, 0, "bold"),
            *wrap(basis, width, 0, "dim"),
        ),
        _unreachable_lines(prediction, width),
        _service_lines(prediction, verbose=verbose),
        _missing_dependency_lines(prediction, width),
        _move_lines(prediction, width, verbose=verbose),
        _unplaced_lines(prediction, width, verbose=verbose),
        _volume_lines(prediction, width),
        _published_lines(prediction, width),
        _refusal_lines(prediction, width),
    )
    return (*(line for block in blocks if block for line in (*block, EMPTY)), styled_line(summary(prediction), "bold"))


def summary(prediction: Prediction) -> str:
    """``At that moment 1 of 7 services has nobody healthy. 3 to move, 1 held.``"""
    expected_services = [
        forecast for forecast in prediction.services if forecast.wanted and forecast.now and not forecast.job
    ]
    unhealthy_services = [forecast for forecast in expected_services if not forecast.at_once]
    held_count = sum(len(forecast.held) for forecast in prediction.services) - len(prediction.unplaced)
    counts = (
        (len(prediction.moves), "to move"),
        (len(prediction.created), "to create"),
        (len(prediction.destroyed), "to destroy"),
        (held_count, "held"),
        (len(prediction.unplaced), "without a host"),
    )
    parts = ", ".join(f"{number} {label}" for number, label in counts if number > 0) or "nothing to move"
    service_count = count_of(len(expected_services), "service")
    verb = "has" if len(unhealthy_services) == 1 else "have"
    unhealthy_text = f"{len(unhealthy_services)} of {service_count} {verb} nobody healthy"
    return f"At that moment {unhealthy_text}. {parts[0].upper()}{parts[1:]}."


def to_document(prediction: Prediction, basis: str, format_version: str) -> dict[str, Any]:
    """The answer for machines."""
    return {
        "format_version": format_version,
        "type": "whatif",
        "basis": basis,
        "question": {
            "lose": list(prediction.scenario.lost_hosts),
            "without": list(prediction.scenario.removed_services),
            "scale": dict(prediction.scenario.replicas),
        },
        "services": [
            {**asdict(item), "held": list(item.held), "lacks": list(item.lacks)} for item in prediction.services
        ],
        "moves": [asdict(item) for item in prediction.moves],
        "created": list(prediction.created),
        "destroyed": list(prediction.destroyed),
        "without_a_host": list(prediction.unplaced),
        "shortfalls": [
            {
                "instance": shortfall.instance,
                "host": shortfall.host,
                "dimension": shortfall.dimension,
                "need": shortfall.need,
                "free": shortfall.free,
            }
            | ({"short": shortfall.need - shortfall.free} if shortfall.need else {})
            | {"text": shortfall.finding.summary}
            for shortfall in prediction.shortfalls
        ],
        "nearest": dict(prediction.smallest_changes),
        "volumes": [asdict(item) for item in prediction.volumes],
        "refused": [
            {"code": finding.code, "summary": finding.summary, "hint": finding.hint} for finding in prediction.refusals
        ],
        "ingresses": {"now": list(prediction.had_ingresses), "left": list(prediction.ingresses)},
        "silent": dict(prediction.silent),
        "hosts": dict(prediction.hosts),
        "summary": summary(prediction),
    }


def _unreachable_lines(prediction: Prediction, width: int) -> tuple[Line, ...]:
    sentences = (
        f"{sanitize(host)} does not answer: {sanitize(reason).rstrip('.')}."
        for host, reason in sorted(prediction.silent.items())
    )
    unknown = ("What runs there is unknown, and counts as nobody.",) if prediction.silent else ()
    return tuple(line for note in (*sentences, *unknown) for line in wrap(note, width, 0, "warning"))


def _service_lines(prediction: Prediction, *, verbose: bool) -> tuple[Line, ...]:
    shown = [
        forecast
        for forecast in sorted(prediction.services, key=lambda service_forecast: natural_key(service_forecast.service))
        if verbose or forecast.is_affected
    ]
    quiet_count = len(prediction.services) - len(shown)
    quiet_line = (
        styled_line(
            "1 service stays as it is." if quiet_count == 1 else f"{quiet_count} services stay as they are.", "dim"
        ),
    )
    if not shown:
        return quiet_line if quiet_count else ()
    lines = format_table(
        [_service_cells(forecast) for forecast in shown], ("SERVICE", "NOW", "AT ONCE", "ONCE APPLIED", ""), indent=0
    )
    return (*_colour_rows(lines, shown), *(quiet_line if quiet_count else ()))


def _service_cells(forecast: ServiceForecast) -> tuple[str, ...]:
    note = "runs again" if forecast.job and forecast.at_once < forecast.now and forecast.applied else ""
    note = f"held: {abbreviate(sorted(map(sanitize, forecast.held), key=natural_key))}" if forecast.held else note
    applied = f"{forecast.applied}/{forecast.wanted}" if forecast.wanted else "gone"
    return (sanitize(forecast.service), f"{forecast.now}/{forecast.before}", str(forecast.at_once), applied, note)


def _colour_rows(lines: tuple[Line, ...], shown: list[ServiceForecast]) -> tuple[Line, ...]:
    styles = [
        "dim",
        *(
            "error" if forecast.wanted and forecast.now and not forecast.at_once and not forecast.job else ""
            for forecast in shown
        ),
    ]
    return tuple(
        tuple(type(span)(span.text, style) for span in line) for line, style in zip(lines, styles, strict=True)
    )


def _missing_dependency_lines(prediction: Prediction, width: int) -> tuple[Line, ...]:
    affected = [forecast for forecast in prediction.services if forecast.lacks and forecast.at_once]
    by_need: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for forecast in affected:
        by_need[forecast.lacks].append(sanitize(forecast.service))
    lines: list[Line] = []
    for lacks, names in sorted(by_need.items()):
        plural = len(names) > 1
        names_text = abbreviate(sorted(names, key=natural_key))
        subject_phrase = f"{names_text} {'go' if plural else 'goes'} on, and {'need' if plural else 'needs'}"
        lines += wrap(
            f"{subject_phrase} {' and '.join(map(sanitize, lacks))}, of which nobody would answer.", width, 0, "warning"
        )
    return tuple(lines)


def _move_lines(prediction: Prediction, width: int, *, verbose: bool) -> tuple[Line, ...]:
    groups: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for move in prediction.moves:
        group_name = move.instance if verbose else move.service
        groups[group_name, move.host, move.to_host].append(move.instance)
    move_rows = [
        (abbreviate(sorted(map(sanitize, names), key=natural_key), most=4), f"{sanitize(host)} -> {sanitize(to_host)}")
        for (_, host, to_host), names in sorted(groups.items(), key=lambda item: natural_key(" ".join(item[0])))
    ]
    shown_count = len(move_rows) if verbose or len(move_rows) <= 20 else 18
    more_lines = (
        (styled_line(f"  and {len(move_rows) - shown_count} more rows (-verbose shows them)", "dim"),)
        if shown_count < len(move_rows)
        else ()
    )
    moves = (
        (styled_line("Would move:", "bold"), *format_table(move_rows[:shown_count]), *more_lines) if move_rows else ()
    )
    return (
        *moves,
        *_names_line("Would be created", prediction.created, width),
        *_names_line("Would be destroyed", prediction.destroyed, width),
    )


def _names_line(label: str, names: Iterable[str], width: int) -> tuple[Line, ...]:
    ordered = sorted(map(sanitize, names), key=natural_key)
    return wrap(f"{label}: {abbreviate(ordered, most=8)}.", width, 0) if ordered else ()


def _unplaced_lines(prediction: Prediction, width: int, *, verbose: bool) -> tuple[Line, ...]:
    if not prediction.unplaced:
        return ()
    names = abbreviate(sorted(map(sanitize, prediction.unplaced), key=natural_key), most=6)
    lines = [*wrap(f"Would find no host: {names}", width, 0, "error")]
    reasons = [sanitize(shortfall.finding.summary) for shortfall in prediction.shortfalls]
    for reason in reasons if verbose else reasons[:6]:
        lines += wrap(reason, width, 2)
    if len(reasons) > 6 and not verbose:
        lines.append(styled_line(f"  and {len(reasons) - 6} more (-verbose shows them)", "dim"))
    for suggestion in prediction.smallest_changes.values():
        lines += wrap(f"-> {sanitize(suggestion)}", width, 2)
    return tuple(lines)


def _volume_lines(prediction: Prediction, width: int) -> tuple[Line, ...]:
    if not prediction.volumes:
        return ()
    lines = [styled_line("Volumes:", "bold")]
    for forecast in prediction.volumes:
        lines += wrap(_volume_sentence(forecast), width, 2, "warning" if forecast.what != "unused" else "")
    return tuple(lines)


def _volume_sentence(forecast: VolumeForecast) -> str:
    fate_text = _VOLUME_FATES[forecast.what].format(user=sanitize(forecast.instance))
    return f"{sanitize(forecast.volume)} ({format_memory(forecast.size)}) on {sanitize(forecast.host)} {fate_text}."


def _published_lines(prediction: Prediction, width: int) -> tuple[Line, ...]:
    if prediction.ingresses == prediction.had_ingresses:
        return ()
    lost_hosts = abbreviate([sanitize(host) for host in prediction.had_ingresses if host not in prediction.ingresses])
    if not prediction.ingresses:
        return wrap(f"Nothing would be published any more: {lost_hosts} had the only ingress.", width, 0, "error")
    remaining_hosts = abbreviate([sanitize(host) for host in prediction.ingresses])
    return wrap(f"Published ports would be answered by {remaining_hosts}, not by {lost_hosts}.", width, 0)


def _refusal_lines(prediction: Prediction, width: int) -> tuple[Line, ...]:
    lines: list[Line] = []
    for finding in prediction.refusals:
        lines += wrap(f"An apply would be refused: {finding.summary}.", width, 0, "error")
        lines += wrap(f"-> {finding.hint}", width, 2) if finding.hint else ()
    return tuple(lines)
