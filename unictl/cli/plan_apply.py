"""The commands `plan`, `apply` and `destroy`: arguments -> operation -> view -> exit code.

A command that needs confirmation without a terminal is refused before the fleet is read; a plan with refusals is
refused before any host is changed.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.cli import output, requests
from unictl.cli.arguments import Arguments
from unictl.cli.streams import Streams
from unictl.diagnostics.failure import Failure, Stale, UsageFailure, exit_code

if TYPE_CHECKING:
    from unictl.journal.event import Event
    from unictl.journal.report import Report
    from unictl.operations.request import ApplyOptions, FleetRequest
    from unictl.plan.model.plan import Plan

MAX_PLANS = 3
"""How often an apply that waits for others plans, before it gives up as stale."""
NOT_APPLIED = "Not applied: nothing was touched."
_MISSING_CODES = frozenset(("image-nowhere",))
"""Refusals that no rule makes: something is not there."""


def plan_fleet(arguments: Arguments, streams: Streams) -> int:
    """Show what an apply would do, and save it where that is asked for."""
    from unictl.operations.planning import plans

    new_plan = plans.make_plan(requests.fleet_request(arguments, streams.environment), requests.plan_options(arguments))
    codes = _exit_codes(new_plan, detailed=arguments.detailed_exitcode)
    if arguments.out and new_plan.can_apply:
        plans.save(new_plan, Path(arguments.out))
    output.show_plan(new_plan, arguments, streams, codes, _next_steps(new_plan, arguments))
    return exit_code(codes)


def apply_plan(arguments: Arguments, streams: Streams) -> int:
    """Carry out a plan: a saved one as it is, or one made now and approved."""
    from unictl.cli import approval_check
    from unictl.operations.planning import plans
    from unictl.operations.planning.fleet_files import missing_fleet

    path = Path(arguments.path)
    if path.suffix not in ("", ".yaml", ".yml") and not path.exists() and not plans.is_planfile(path):
        raise missing_fleet(path, path, "fleet.yaml")
    if plans.is_planfile(path):
        requests.reject_options_with_plan_file(arguments)
        hashes = approval_check.approved_hashes(arguments)
        saved_plan = plans.open_plan(Path(arguments.path))
        _show_plan(saved_plan, arguments, streams)
        _require_approved(saved_plan, hashes)
        next_command = "unictl plan -out " + shlex.join([arguments.path])
        return _carry_out(
            saved_plan,
            None,
            arguments,
            streams,
            f"{next_command} [PATH], then unictl apply {shlex.join([arguments.path])}",
        )
    return _apply_fleet(arguments, streams)


def destroy_fleet(arguments: Arguments, streams: Streams) -> int:
    """Take down everything of a fleet."""
    return _apply_fleet(arguments, streams)


def _apply_fleet(arguments: Arguments, streams: Streams) -> int:
    from unictl.cli import approval_check
    from unictl.operations.planning import plans

    _require_confirmation_possible(arguments, streams)
    hashes = approval_check.approved_hashes(arguments)
    request = requests.fleet_request(arguments, streams.environment)
    requests.apply_options(
        arguments, streams.holder, streams.environment
    )  # What cannot be meant is told before anything.
    # Whoever waits for another apply finds the hosts as that one left them: what nobody has to approve is planned anew.
    remaining_plans = MAX_PLANS if arguments.auto_approve and arguments.lock_timeout else 1
    while True:
        remaining_plans -= 1
        new_plan = plans.make_plan(request, requests.plan_options(arguments))
        _show_plan(new_plan, arguments, streams)
        _require_approved(new_plan, hashes)
        if new_plan.can_apply and new_plan.has_changes and not _is_confirmed(new_plan, arguments, streams):
            streams.put(NOT_APPLIED + "\n")
            return exit_code({1, *_exit_codes(new_plan)})
        try:
            return _carry_out(
                new_plan, request, arguments, streams, requests.repeat_command(arguments, arguments.command)
            )
        except Stale:
            if not remaining_plans:
                raise
            if not arguments.json:
                streams.put("\nThe hosts have moved since they were asked; planning again.\n\n")


def _require_approved(checked_plan: Plan, hashes: frozenset[str]) -> None:
    """What is refused anyway, or does nothing, is not held against what was approved."""
    from unictl.cli import approval_check

    if checked_plan.can_apply and checked_plan.has_changes:
        approval_check.require_approved(checked_plan, hashes)


def _require_confirmation_possible(arguments: Arguments, streams: Streams) -> None:
    if arguments.auto_approve:
        return
    if arguments.json:
        raise UsageFailure(
            f"{arguments.command} -json cannot ask: nothing was touched", hint="add -auto-approve, or apply a plan file"
        )
    if not streams.is_interactive:
        raise UsageFailure(
            f"{arguments.command} asks before it acts, and there is no terminal to ask on: nothing was touched",
            hint="add -auto-approve, or save a plan with unictl plan -out FILE, have it read, and apply that",
        )


def _is_confirmed(shown_plan: Plan, arguments: Arguments, streams: Streams) -> bool:
    if arguments.auto_approve:
        return True
    expected_answer = shown_plan.mark if arguments.command == "destroy" else "yes"
    if expected_answer == "yes":
        streams.put("\nApply these changes? Only 'yes' is accepted: ")
    else:
        streams.put(f"\nDestroy all of this? Only the fleet's name, {expected_answer}, is accepted: ")
    return streams.stdin.readline().strip() == expected_answer


def _carry_out(
    approved_plan: Plan, request: FleetRequest | None, arguments: Arguments, streams: Streams, next_command: str
) -> int:
    """Apply an approved plan, tell the outcome, and say how to go on; nothing where it is refused or empty."""
    codes = _exit_codes(approved_plan)
    if not approved_plan.can_apply or not approved_plan.has_changes:
        return exit_code(codes)
    report = _apply_with_events(
        approved_plan, requests.apply_options(arguments, streams.holder, streams.environment), arguments, streams
    )
    has_failed = not report.interrupted and (report.reverted or report.failed)
    if has_failed and request is not None and arguments.command == "apply" and not arguments.retry:
        next_command += " -retry"
    # What was done was done, whether or not anybody reads of it: the exit code says how it went.
    with suppress(BrokenPipeError, Failure):
        _show_report(approved_plan, report, "" if report.is_complete else next_command, arguments, streams)
    return exit_code(codes | {report.exit_code, *report.codes})


def _apply_with_events(approved_plan: Plan, options: ApplyOptions, arguments: Arguments, streams: Streams) -> Report:
    """The apply itself, while its events are shown or streamed."""
    from unictl.cli.interrupts import Interrupts
    from unictl.operations.planning import apply
    from unictl.terminal.abort import abort_handler
    from unictl.terminal.screen import Screen

    with Interrupts(abort_handler(streams.stdout, streams.is_live and not arguments.json)) as interrupts:
        if arguments.json:
            return apply.apply_plan(approved_plan, options, _event_writer(streams), interrupts)
        streams.put("\n")
        screen = Screen(
            streams.stdout,
            clock=time.monotonic,
            live=streams.is_live,
            colour=streams.colour,
            width=streams.width,
            height=streams.height,
            is_stopping=lambda: interrupts.is_requested,
        )
        with screen:
            return apply.apply_plan(approved_plan, options, screen.show_event, interrupts)


def _event_writer(streams: Streams) -> Callable[[Event], None]:
    """Events as lines of JSON. A reader that goes away does not stop what is being applied."""
    from unictl.views import documents

    first = heard = True

    def write_event(event: Event) -> None:
        nonlocal first, heard
        if heard:
            try:
                streams.put(documents.to_line(documents.event_document(event, is_first=first)))
            except (OSError, Failure):
                heard = False
        first = False

    return write_event


def _show_plan(shown_plan: Plan, arguments: Arguments, streams: Streams) -> None:
    from unictl.views import documents
    from unictl.views.text import plan_text

    if not arguments.json:
        streams.write(plan_text.render(shown_plan, streams.width, verbose=arguments.verbose))
    elif not shown_plan.can_apply or not shown_plan.has_changes:
        streams.put(documents.to_line(documents.plan_document(shown_plan, _exit_codes(shown_plan))))
    elif plan_text.lock_changes(shown_plan):
        streams.put(documents.to_line(documents.lock_document(shown_plan)))


def _show_report(applied_plan: Plan, report: Report, next_command: str, arguments: Arguments, streams: Streams) -> None:
    from unictl.views import documents
    from unictl.views.text import apply_report

    if arguments.json:
        streams.put(documents.to_line(documents.report_document(applied_plan, report, next_command=next_command)))
    else:
        streams.put("\n")
        streams.write(apply_report.render(applied_plan, report, streams.width, next_command=next_command))


def _next_steps(shown_plan: Plan, arguments: Arguments) -> tuple[str, ...]:
    """What to type next."""
    if arguments.out and not shown_plan.can_apply:
        return (f"Not saved to {arguments.out}: a refused plan cannot be applied.",)
    if arguments.out:
        from unictl.plan.file import approval, planfile

        file = shlex.join([arguments.out])
        return (
            f"Saved the plan to {arguments.out}. To apply exactly this: unictl apply {file}",
            f"Plan hash:     {planfile.plan_hash(shown_plan)}",
            f"Approval hash: {approval.approval_hash(shown_plan)}",
        )
    if not shown_plan.has_changes or not shown_plan.can_apply:
        return ()
    return (f"To apply this: {requests.repeat_command(arguments, 'apply')}",)


def _exit_codes(shown_plan: Plan, detailed: bool = False) -> set[int]:
    """All exit codes that hold of a plan. What failed before and was not changed since is still a failure."""
    from unictl.plan.model.reason import Reason

    missing_flags = [problem.code in _MISSING_CODES for problem in shown_plan.refusals]
    conditions = {
        1: any(missing_flags) or any(change.reason == Reason.FAILED_BEFORE for change in shown_plan.changes),
        2: detailed and shown_plan.has_changes,
        5: bool(shown_plan.silent),
        6: not all(missing_flags),
    }
    return {0} | {code for code, holds in conditions.items() if holds}
