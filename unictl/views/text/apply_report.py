"""The result of an apply as lines: complete, or what is done, failed, rolled back and not started, and how to
continue. Pure.
"""

from collections.abc import Iterable

from unictl.fleet.names import InstanceKey
from unictl.journal.report import Report
from unictl.plan.model.change import Action, Change
from unictl.plan.model.plan import Counts, Plan
from unictl.plan.model.step import WHOLE_INGRESS, Step
from unictl.plan.model.step_traits import Subject
from unictl.plan.progress.tracker import ServiceOutcome
from unictl.views.text import problems
from unictl.views.text.layout import EMPTY, abbreviate, count_of, sanitize, styled_line, wrap
from unictl.views.text.sorting import natural_key
from unictl.views.text.spans import Line, Span


def render(plan: Plan, report: Report, width: int = 80, *, next_command: str = "") -> tuple[Line, ...]:
    """The end of an apply; ``next_command`` is the command that goes on from here."""
    last = styled_line(summary(plan, report), "create bold" if report.is_complete else "error")
    if report.is_complete:
        return (last,)
    blocks = (
        _failed_lines(report, width),
        _rolled_back_lines(report, width),
        _outcome_lines(report, width),
        _step_lines(
            "Still under way when this ended; the next apply takes it from there:", report.in_flight, "warning"
        ),
        _skipped_lines(report, width),
        (styled_line(f"To go on: {sanitize(next_command)}"),) if next_command else (),
    )
    return (*(line for block in blocks if block for line in (*block, EMPTY)), last)


def summary(plan: Plan, report: Report) -> str:
    """The last line; greppable: ``Apply complete: 2 added, 3 replaced, 1 destroyed, 4 adjusted.``"""
    if report.is_complete:
        return f"Apply complete: {_counts_text(plan.counts)}."
    unfinished_counts = [
        f"{len(entries)} {word}"
        for entries, word in (
            (report.failed, "failed"),
            (report.rolled_back, "taken back"),
            (report.in_flight, "in flight"),
            (report.skipped, "not started"),
        )
        if entries
    ]
    steps = ", ".join([f"{len(report.done)} done", *unfinished_counts])
    return f"Apply {_outcome_word(report)}: {_counts_text(completed_counts(plan, report))}; steps: {steps}."


def completed_counts(plan: Plan, report: Report) -> Counts:
    """How many changes are whole: every step that belongs to one has ended well and none was taken back."""
    done_ids = {step.id for step in report.done}
    rolled_back_keys = {_step_key(step) for step in report.rolled_back}
    by_name: dict[str, list[Step]] = {}
    for step in plan.steps:
        by_name.setdefault(_step_key(step), []).append(step)
    count_by_action = dict.fromkeys(Action, 0)
    for change in plan.changes:
        steps = by_name.get(_change_key(change), [])
        if steps and all(step.id in done_ids for step in steps) and _change_key(change) not in rolled_back_keys:
            count_by_action[change.action] += 1
    return Counts(
        add=count_by_action[Action.CREATE],
        replace=count_by_action[Action.REPLACE] + count_by_action[Action.MOVE],
        destroy=count_by_action[Action.DESTROY],
        adjust=count_by_action[Action.ADJUST],
    )


def describe_step(step: Step) -> str:
    """A step in words: ``api-2.7f3c9a1b: launch on hv1``."""
    subject = sanitize(step.subject or step.service or step.id)
    return f"{subject}: {step.words.doing} {sanitize(step.host or step.id)}"


def describe_failure(step: Step) -> str:
    """A step that failed, in words: ``api-2.7f3c9a1b did not become healthy on hv1``."""
    subject = sanitize(step.subject or step.service or step.id)
    return f"{subject} {step.words.failed} {sanitize(step.host or step.id)}"


def _counts_text(counts: Counts) -> str:
    return f"{counts.add} added, {counts.replace} replaced, {counts.destroy} destroyed, {counts.adjust} adjusted"


def _outcome_word(report: Report) -> str:
    if report.interrupted:
        return "interrupted"
    return "rolled back" if report.reverted else "failed"


def _failed_lines(report: Report, width: int) -> tuple[Line, ...]:
    """Every failure with its problem; the same problem at many steps is told once."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for index, (_, problem) in enumerate(report.failed):
        groups.setdefault((problem.code, problem.summary, problem.detail), []).append(index)
    lines: list[Line] = []
    for group in groups.values():
        steps = [report.failed[index][0] for index in group]
        others_text = f" (and {len(steps) - 1} more: {_subjects_text(steps[1:])})" if len(steps) > 1 else ""
        lines += wrap(f"Failed: {describe_step(steps[0])}{others_text}", width, 0, "error")
        lines += problems.render((report.failed[group[0]][1],), width=width)
    return tuple(lines)


def _rolled_back_lines(report: Report, width: int) -> tuple[Line, ...]:
    """The new generations that were taken down again."""
    keys = [sanitize(step.subject) for step in report.reverted]
    return wrap(f"Removed again: {abbreviate(keys, 10)}.", width, 0, "warning") if keys else ()


def _outcome_lines(report: Report, width: int) -> tuple[Line, ...]:
    """Which services are as before, and which are neither one thing nor the other."""
    sentences = (sentence for outcome in report.outcomes for sentence in outcome_sentences(outcome))
    return tuple(line for sentence, style in sentences for line in wrap(sentence, width, 0, style))


def outcome_sentences(outcome: ServiceOutcome) -> Iterable[tuple[str, str]]:
    """How it stands with a service of which not all was done, in sentences with their style."""
    name = sanitize(outcome.service)
    if outcome.new and outcome.old:
        yield f"{name} is mixed: {_names_text(outcome.new)} as planned, {_names_text(outcome.old)} as before.", "error"
    elif outcome.old:
        yield f"{name} is as it was before: {_names_text(outcome.old)}.", "warning"
    if outcome.unknown:
        unknown_names, hosts = _names_text(outcome.unknown), _names_text(outcome.unseen)
        planned = f"{_names_text(outcome.new)} as planned; " if outcome.new and not outcome.old else ""
        state_text = f"how {unknown_names} stand{'s' * (len(outcome.unknown) == 1)} is unknown"
        yield f"{name}: {planned}{state_text}, for nothing is known of {hosts} any more.", "error"
    if outcome.down:
        yield (
            f"{name} lacks {_names_text(outcome.down)}: the old one had to go first, and nothing took its place.",
            "error",
        )
    if outcome.apart:
        inconsistent_names = _names_text(outcome.apart)
        state_text = f"{name} is as before, and {inconsistent_names}, which it works with, as planned"
        yield (
            f"{state_text}: see that they go together.",
            "error",
        )


def _names_text(names: Iterable[str]) -> str:
    return abbreviate([sanitize(name) for name in names], 6)


def _step_lines(headline: str, steps: Iterable[Step], style: str) -> tuple[Line, ...]:
    listed_steps = tuple(steps)
    if not listed_steps:
        return ()
    shown = [(Span("  "), Span(describe_step(step))) for step in listed_steps[:10]]
    more_lines = [styled_line(f"  and {len(listed_steps) - 10} more", "dim")] if len(listed_steps) > 10 else []
    return (styled_line(headline, style), *shown, *more_lines)


def _skipped_lines(report: Report, width: int) -> tuple[Line, ...]:
    """What never started, one line a cause."""
    causes: dict[str, list[Step]] = {}
    for step, cause in report.skipped:
        causes.setdefault(cause, []).append(step)
    lines: list[Line] = []
    failed: dict[str, str] = {step.id: describe_failure(step) for step, _ in report.failed}
    for cause, steps in causes.items():
        names = _subjects_text([step for step in steps if step.traits.acts])
        reason_text = (
            f"because {failed.get(cause) or f'of {sanitize(cause)}'}" if cause else "because you asked to stop"
        )
        sentence = f"Not started, {reason_text}: {count_of(len(steps), 'step')}{f': {names}' if names else ''}"
        lines += wrap(sentence, width, 0, "warning")
    return tuple(lines)


def _subjects_text(steps: Iterable[Step]) -> str:
    return abbreviate(sorted({sanitize(step.subject or step.id) for step in steps}, key=natural_key), 5)


def _change_key(change: Change) -> str:
    """What steps and changes have in common: the instance's name, the volume's, or a host's ingress or memory."""
    if change.subject in ("ingress", "policy"):
        return f"{change.subject} {change.host}"
    return change.subject.removeprefix("volume:") if change.subject.startswith("volume:") else change.subject


def _step_key(step: Step) -> str:
    name = InstanceKey(step.subject.removeprefix("marks:")).name
    match step.traits.subject:
        case Subject.VOLUME:
            return step.subject.removeprefix("volume:")
        case Subject.MARKS:
            return f"marks:{name}"
        case Subject.POLICY:
            return f"policy {step.host}"
        case Subject.HOST:
            return f"ingress {step.host}"
        case Subject.SERVICE if step.subject in ("", WHOLE_INGRESS):
            return f"ingress {step.host}"
    return name
