"""A prediction of `whatif` as lines for a width and as a JSON document. Pure.

Services without changes are counted, not listed; moves of one service between the same hosts are one row.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from unictl.fleet.quantities import memory_text
from unictl.plan.whatif.whatif import Answer, Fate, Standing
from unictl.views.text.fold import natural
from unictl.views.text.layout import EMPTY, clean, counted, one, some, table, wrap
from unictl.views.text.spans import Line

_FATES = {
    "lost": "is lost with its host",
    "begins-empty": "is lost with its host; {user} begins anew with an empty one (accept_loss)",
    "held": "is lost with its host; {user} stays down until the host is back, or accept_loss says it may begin empty",
    "unused": "has no user any more, and stays",
}


def text(answer: Answer, basis: str, width: int = 80, *, verbose: bool = False) -> tuple[Line, ...]:
    """The answer; ``basis`` says in a sentence what it rests on. The last line sums it up."""
    words = clean(answer.question.words)
    blocks = (
        (*wrap(f"What if {words}?" if words else "As it is", width, 0, "bold"), *wrap(basis, width, 0, "dim")),
        _silent(answer, width),
        _services(answer, verbose=verbose),
        _lacking(answer, width),
        _moves(answer, width, verbose=verbose),
        _unplaced(answer, width, verbose=verbose),
        _volumes(answer, width),
        _published(answer, width),
        _refused(answer, width),
    )
    return (*(line for block in blocks if block for line in (*block, EMPTY)), one(summary(answer), "bold"))


def summary(answer: Answer) -> str:
    """``At that moment 1 of 7 services has nobody healthy. 3 to move, 1 held.``"""
    wanted = [each for each in answer.services if each.wanted and each.now and not each.job]
    dark = [each for each in wanted if not each.at_once]
    held = sum(len(each.held) for each in answer.services) - len(answer.unplaced)
    counts = (
        (len(answer.moves), "to move"),
        (len(answer.created), "to create"),
        (len(answer.destroyed), "to destroy"),
        (held, "held"),
        (len(answer.unplaced), "without a host"),
    )
    parts = ", ".join(f"{number} {what}" for number, what in counts if number > 0) or "nothing to move"
    dark_of = f"{len(dark)} of {counted(len(wanted), 'service')} {'has' if len(dark) == 1 else 'have'} nobody healthy"
    return f"At that moment {dark_of}. {parts[0].upper()}{parts[1:]}."


def document(answer: Answer, basis: str, format_version: str) -> dict[str, Any]:
    """The answer for machines."""
    return {
        "format_version": format_version,
        "type": "whatif",
        "basis": basis,
        "question": {
            "lose": list(answer.question.lose),
            "without": list(answer.question.without),
            "scale": dict(answer.question.scale),
        },
        "services": [{**asdict(each), "held": list(each.held), "lacks": list(each.lacks)} for each in answer.services],
        "moves": [asdict(each) for each in answer.moves],
        "created": list(answer.created),
        "destroyed": list(answer.destroyed),
        "without_a_host": list(answer.unplaced),
        "shortfalls": [
            {"instance": r.instance, "host": r.host, "dimension": r.dimension, "need": r.need, "free": r.free}
            | ({"short": r.need - r.free} if r.need else {})
            | {"text": r.text}
            for r in answer.shortfalls
        ],
        "nearest": dict(answer.nearest),
        "volumes": [asdict(each) for each in answer.volumes],
        "refused": [{"code": f.code, "summary": f.text, "hint": f.hint} for f in answer.refused],
        "ingresses": {"now": list(answer.had_ingresses), "left": list(answer.ingresses)},
        "silent": dict(answer.silent),
        "hosts": dict(answer.hosts),
        "summary": summary(answer),
    }


def _silent(answer: Answer, width: int) -> tuple[Line, ...]:
    told = (f"{clean(host)} does not answer: {clean(why).rstrip('.')}." for host, why in sorted(answer.silent.items()))
    unknown = ("What runs there is unknown, and counts as nobody.",) if answer.silent else ()
    return tuple(line for note in (*told, *unknown) for line in wrap(note, width, 0, "warning"))


def _services(answer: Answer, *, verbose: bool) -> tuple[Line, ...]:
    shown = [each for each in sorted(answer.services, key=lambda s: natural(s.service)) if verbose or each.touched]
    rest = len(answer.services) - len(shown)
    quiet = (one("1 service stays as it is." if rest == 1 else f"{rest} services stay as they are.", "dim"),)
    if not shown:
        return quiet if rest else ()
    lines = table([_row(each) for each in shown], ("SERVICE", "NOW", "AT ONCE", "ONCE APPLIED", ""), indent=0)
    return (*_coloured(lines, shown), *(quiet if rest else ()))


def _row(each: Standing) -> tuple[str, ...]:
    note = "runs again" if each.job and each.at_once < each.now and each.applied else ""
    note = f"held: {some(sorted(map(clean, each.held), key=natural))}" if each.held else note
    applied = f"{each.applied}/{each.wanted}" if each.wanted else "gone"
    return (clean(each.service), f"{each.now}/{each.before}", str(each.at_once), applied, note)


def _coloured(lines: tuple[Line, ...], shown: list[Standing]) -> tuple[Line, ...]:
    styles = ["dim", *("error" if s.wanted and s.now and not s.at_once and not s.job else "" for s in shown)]
    return tuple(
        tuple(type(span)(span.text, style) for span in line) for line, style in zip(lines, styles, strict=True)
    )


def _lacking(answer: Answer, width: int) -> tuple[Line, ...]:
    rows = [each for each in answer.services if each.lacks and each.at_once]
    by_need: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for each in rows:
        by_need[each.lacks].append(clean(each.service))
    lines: list[Line] = []
    for lacks, names in sorted(by_need.items()):
        plural = len(names) > 1
        told = (
            f"{some(sorted(names, key=natural))} {'go' if plural else 'goes'} on, and {'need' if plural else 'needs'}"
        )
        lines += wrap(f"{told} {' and '.join(map(clean, lacks))}, of which nobody would answer.", width, 0, "warning")
    return tuple(lines)


def _moves(answer: Answer, width: int, *, verbose: bool) -> tuple[Line, ...]:
    groups: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for move in answer.moves:
        alone = move.instance if verbose else move.service
        groups[alone, move.host, move.to_host].append(move.instance)
    rows = [
        (some(sorted(map(clean, names), key=natural), most=4), f"{clean(host)} -> {clean(to)}")
        for (_, host, to), names in sorted(groups.items(), key=lambda item: natural(" ".join(item[0])))
    ]
    most = len(rows) if verbose or len(rows) <= 20 else 18
    rest = (one(f"  and {len(rows) - most} more rows (-verbose shows them)", "dim"),) if most < len(rows) else ()
    moves = (one("Would move:", "bold"), *table(rows[:most]), *rest) if rows else ()
    return (
        *moves,
        *_few("Would be created", answer.created, width),
        *_few("Would be destroyed", answer.destroyed, width),
    )


def _few(label: str, names: Iterable[str], width: int) -> tuple[Line, ...]:
    ordered = sorted(map(clean, names), key=natural)
    return wrap(f"{label}: {some(ordered, most=8)}.", width, 0) if ordered else ()


def _unplaced(answer: Answer, width: int, *, verbose: bool) -> tuple[Line, ...]:
    if not answer.unplaced:
        return ()
    names = some(sorted(map(clean, answer.unplaced), key=natural), most=6)
    lines = [*wrap(f"Would find no host: {names}", width, 0, "error")]
    reasons = [clean(each.text) for each in answer.shortfalls]
    for reason in reasons if verbose else reasons[:6]:
        lines += wrap(reason, width, 2)
    if len(reasons) > 6 and not verbose:
        lines.append(one(f"  and {len(reasons) - 6} more (-verbose shows them)", "dim"))
    for near in answer.nearest.values():
        lines += wrap(f"-> {clean(near)}", width, 2)
    return tuple(lines)


def _volumes(answer: Answer, width: int) -> tuple[Line, ...]:
    if not answer.volumes:
        return ()
    lines = [one("Volumes:", "bold")]
    for fate in answer.volumes:
        lines += wrap(_fate(fate), width, 2, "warning" if fate.what != "unused" else "")
    return tuple(lines)


def _fate(fate: Fate) -> str:
    told = _FATES[fate.what].format(user=clean(fate.instance))
    return f"{clean(fate.volume)} ({memory_text(fate.size)}) on {clean(fate.host)} {told}."


def _published(answer: Answer, width: int) -> tuple[Line, ...]:
    if answer.ingresses == answer.had_ingresses:
        return ()
    gone = some([clean(host) for host in answer.had_ingresses if host not in answer.ingresses])
    if not answer.ingresses:
        return wrap(f"Nothing would be published any more: {gone} had the only ingress.", width, 0, "error")
    left = some([clean(host) for host in answer.ingresses])
    return wrap(f"Published ports would be answered by {left}, not by {gone}.", width, 0)


def _refused(answer: Answer, width: int) -> tuple[Line, ...]:
    lines: list[Line] = []
    for each in answer.refused:
        lines += wrap(f"An apply would be refused: {each.text}.", width, 0, "error")
        lines += wrap(f"-> {each.hint}", width, 2) if each.hint else ()
    return tuple(lines)
