"""The result of an apply as lines: complete, or what is done, failed, rolled back and not started, and how to
continue. Pure.
"""

from collections.abc import Iterable

from unictl.journal.report import Report
from unictl.plan.model.change import Action, Change
from unictl.plan.model.plan import Counts, Plan
from unictl.plan.model.step import Kind, Step
from unictl.plan.progress.tracker import Mixture
from unictl.views.text import problems
from unictl.views.text.fold import natural
from unictl.views.text.layout import EMPTY, clean, counted, one, some, wrap
from unictl.views.text.spans import Line, Span

_INGRESS = (Kind.JOIN, Kind.LEAVE)
_DOING = {
    Kind.STAGE: "bring the image to",
    Kind.VOLUME: "create the volume on",
    Kind.LAUNCH: "launch on",
    Kind.PROVE: "wait until it is healthy on",
    Kind.JOIN: "put it behind the ingress of",
    Kind.LEAVE: "take it out of the ingress of",
    Kind.RETIRE: "take it down on",
    Kind.MARK: "note on",
    Kind.DELETE: "delete the volume on",
    Kind.REMEMBER: "note what was applied on",
    Kind.CLOSE: "leave",
    Kind.BARRIER: "wait for",
}
_UNDONE = {
    Kind.STAGE: "could not be brought to",
    Kind.VOLUME: "could not be created on",
    Kind.LAUNCH: "could not be launched on",
    Kind.PROVE: "did not become healthy on",
    Kind.JOIN: "could not be put behind the ingress of",
    Kind.LEAVE: "could not be taken out of the ingress of",
    Kind.RETIRE: "could not be taken down on",
    Kind.MARK: "could not be noted on",
    Kind.DELETE: "could not be deleted on",
    Kind.REMEMBER: "could not be noted on",
    Kind.CLOSE: "could not leave",
    Kind.BARRIER: "was not reached on",
}


def report(plan: Plan, report: Report, width: int = 80, *, again: str = "") -> tuple[Line, ...]:
    """The end of an apply; ``again`` is the command that goes on from here."""
    last = one(summary(plan, report), "create bold" if report.complete else "error")
    if report.complete:
        return (last,)
    blocks = (
        _failed(report, width),
        _removed(report, width),
        _standing(report, width),
        _names("Still under way when this ended; the next apply takes it from there:", report.in_flight, "warning"),
        _skipped(report, width),
        (one(f"To go on: {clean(again)}"),) if again else (),
    )
    return (*(line for block in blocks if block for line in (*block, EMPTY)), last)


def summary(plan: Plan, report: Report) -> str:
    """The last line; greppable: ``Apply complete: 2 added, 3 replaced, 1 destroyed, 4 adjusted.``"""
    if report.complete:
        return f"Apply complete: {_numbers(plan.counts)}."
    rest = [
        f"{len(found)} {word}"
        for found, word in (
            (report.failed, "failed"),
            (report.returned, "taken back"),
            (report.in_flight, "in flight"),
            (report.skipped, "not started"),
        )
        if found
    ]
    steps = ", ".join([f"{len(report.done)} done", *rest])
    return f"Apply {_word(report)}: {_numbers(done(plan, report))}; steps: {steps}."


def done(plan: Plan, report: Report) -> Counts:
    """How many changes are whole: every step that belongs to one has ended well and none was taken back."""
    ended = {step.id for step in report.done}
    undone = {_name(step) for step in report.returned}
    by_name: dict[str, list[Step]] = {}
    for step in plan.steps:
        by_name.setdefault(_name(step), []).append(step)
    number = dict.fromkeys(Action, 0)
    for change in plan.changes:
        steps = by_name.get(_subject(change), [])
        if steps and all(step.id in ended for step in steps) and _subject(change) not in undone:
            number[change.action] += 1
    return Counts(
        add=number[Action.CREATE],
        replace=number[Action.REPLACE] + number[Action.MOVE],
        destroy=number[Action.DESTROY],
        adjust=number[Action.ADJUST],
    )


def doing(step: Step) -> str:
    """A step in words: ``api-2.7f3c9a1b: launch on hv1``."""
    subject = clean(step.subject or step.service or step.id)
    act = "wait until it has ended well on" if step.data.get("job") else _DOING[step.kind]
    act = "write it anew on" if step.kind is Kind.JOIN and step.subject == "ingress" else act
    return f"{subject}: {act} {clean(step.host or step.id)}"


def undone(step: Step) -> str:
    """A step that failed, in words: ``api-2.7f3c9a1b did not become healthy on hv1``."""
    subject = clean(step.subject or step.service or step.id)
    what = "did not end well on" if step.data.get("job") else _UNDONE[step.kind]
    what = "could not be written anew on" if step.kind is Kind.JOIN and step.subject == "ingress" else what
    return f"{subject} {what} {clean(step.host or step.id)}"


def _numbers(counts: Counts) -> str:
    return f"{counts.add} added, {counts.replace} replaced, {counts.destroy} destroyed, {counts.adjust} adjusted"


def _word(report: Report) -> str:
    if report.interrupted:
        return "interrupted"
    return "rolled back" if report.reverted else "failed"


def _failed(report: Report, width: int) -> tuple[Line, ...]:
    """Every failure with its problem; the same problem at many steps is told once."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for n, (_, problem) in enumerate(report.failed):
        groups.setdefault((problem.code, problem.summary, problem.detail), []).append(n)
    lines: list[Line] = []
    for group in groups.values():
        steps = [report.failed[n][0] for n in group]
        more = f" (and {len(steps) - 1} more: {_list(steps[1:])})" if len(steps) > 1 else ""
        lines += wrap(f"Failed: {doing(steps[0])}{more}", width, 0, "error")
        lines += problems.text((report.failed[group[0]][1],), width=width)
    return tuple(lines)


def _removed(report: Report, width: int) -> tuple[Line, ...]:
    """The new generations that were taken down again."""
    keys = [clean(step.subject) for step in report.reverted]
    return wrap(f"Removed again: {some(keys, 10)}.", width, 0, "warning") if keys else ()


def _standing(report: Report, width: int) -> tuple[Line, ...]:
    """Which services are as before, and which are neither one thing nor the other."""
    told = (sentence for mixture in report.mixtures for sentence in standing(mixture))
    return tuple(line for sentence, style in told for line in wrap(sentence, width, 0, style))


def standing(mixture: Mixture) -> Iterable[tuple[str, str]]:
    """How it stands with a service of which not all was done, in sentences with their style."""
    name = clean(mixture.service)
    if mixture.new and mixture.old:
        yield f"{name} is mixed: {_these(mixture.new)} as planned, {_these(mixture.old)} as before.", "error"
    elif mixture.old:
        yield f"{name} is as it was before: {_these(mixture.old)}.", "warning"
    if mixture.unknown:
        named, hosts = _these(mixture.unknown), _these(mixture.unseen)
        planned = f"{_these(mixture.new)} as planned; " if mixture.new and not mixture.old else ""
        stand = f"how {named} stand{'s' * (len(mixture.unknown) == 1)} is unknown"
        yield f"{name}: {planned}{stand}, for nothing is known of {hosts} any more.", "error"
    if mixture.down:
        yield f"{name} lacks {_these(mixture.down)}: the old one had to go first, and nothing took its place.", "error"
    if mixture.apart:
        others = _these(mixture.apart)
        yield f"{name} is as before, and {others}, which it works with, as planned: see that they go together.", "error"


def _these(names: Iterable[str]) -> str:
    return some([clean(name) for name in names], 6)


def _names(head: str, steps: Iterable[Step], style: str) -> tuple[Line, ...]:
    found = tuple(steps)
    if not found:
        return ()
    shown = [(Span("  "), Span(doing(step))) for step in found[:10]]
    more = [one(f"  and {len(found) - 10} more", "dim")] if len(found) > 10 else []
    return (one(head, style), *shown, *more)


def _skipped(report: Report, width: int) -> tuple[Line, ...]:
    """What never started, one line a cause."""
    causes: dict[str, list[Step]] = {}
    for step, cause in report.skipped:
        causes.setdefault(cause, []).append(step)
    lines: list[Line] = []
    failed = {step.id: undone(step) for step, _ in report.failed}
    for cause, steps in causes.items():
        names = _list([step for step in steps if step.kind is not Kind.BARRIER])
        why = f"because {failed.get(cause) or f'of {clean(cause)}'}" if cause else "because you asked to stop"
        told = f"Not started, {why}: {counted(len(steps), 'step')}{f': {names}' if names else ''}"
        lines += wrap(told, width, 0, "warning")
    return tuple(lines)


def _list(steps: Iterable[Step]) -> str:
    return some(sorted({clean(step.subject or step.id) for step in steps}, key=natural), 5)


def _subject(change: Change) -> str:
    """What steps and changes have in common: the instance's name, the volume's, or a host's ingress or memory."""
    if change.subject in ("ingress", "policy"):
        return f"{change.subject} {change.host}"
    return change.subject.removeprefix("volume:") if change.subject.startswith("volume:") else change.subject


def _name(step: Step) -> str:
    if step.kind is Kind.CLOSE or (step.kind in _INGRESS and step.subject in ("", "ingress")):
        return f"ingress {step.host}"
    if step.kind is Kind.REMEMBER:
        return f"policy {step.host}"
    if step.kind in (Kind.VOLUME, Kind.DELETE):
        return str(step.data.get("volume", step.subject)).removeprefix("volume:")
    name = step.subject.removeprefix("marks:").partition(".")[0]
    return f"marks:{name}" if step.kind is Kind.MARK else name
