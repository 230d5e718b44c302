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

PLANS = 3
"""How often an apply that waits for others plans, before it gives up as stale."""
NOT_APPLIED = "Not applied: nothing was touched."
_LACKS = frozenset(("image-nowhere",))
"""Refusals that no rule makes: something is not there."""


def plan(arguments: Arguments, streams: Streams) -> int:
    """Show what an apply would do, and save it where that is asked for."""
    from unictl.operations.planning import plans

    made = plans.plan(requests.fleet(arguments, streams.environment), requests.narrowing(arguments))
    codes = _codes(made, detailed=arguments.detailed_exitcode)
    if arguments.out and made.can_apply:
        plans.save(made, Path(arguments.out))
    output.put(made, arguments, streams, codes, _next(made, arguments))
    return exit_code(codes)


def apply(arguments: Arguments, streams: Streams) -> int:
    """Carry out a plan: a saved one as it is, or one made now and approved."""
    from unictl.cli import approval_check
    from unictl.operations.planning import plans
    from unictl.operations.planning.fleet_files import no_fleet

    path = Path(arguments.path)
    if path.suffix not in ("", ".yaml", ".yml") and not path.exists() and not plans.is_planfile(path):
        raise no_fleet(path, path, "fleet.yaml")
    if plans.is_planfile(path):
        requests.only_a_plan_file(arguments)
        hashes = approval_check.expected(arguments)
        made = plans.open_plan(Path(arguments.path))
        _show(made, arguments, streams)
        _check(made, hashes)
        again = "unictl plan -out " + shlex.join([arguments.path])
        return _carry_out(
            made, None, arguments, streams, f"{again} [PATH], then unictl apply {shlex.join([arguments.path])}"
        )
    return _apply_fleet(arguments, streams)


def destroy(arguments: Arguments, streams: Streams) -> int:
    """Take down everything of a fleet."""
    return _apply_fleet(arguments, streams)


def _apply_fleet(arguments: Arguments, streams: Streams) -> int:
    from unictl.cli import approval_check
    from unictl.operations.planning import plans

    _must_be_able_to_ask(arguments, streams)
    hashes = approval_check.expected(arguments)
    request = requests.fleet(arguments, streams.environment)
    requests.applying(arguments, streams.holder, streams.environment)  # What cannot be meant is told before anything.
    # Whoever waits for another apply finds the hosts as that one left them: what nobody has to approve is planned anew.
    left = PLANS if arguments.auto_approve and arguments.lock_timeout else 1
    while True:
        left -= 1
        made = plans.plan(request, requests.narrowing(arguments))
        _show(made, arguments, streams)
        _check(made, hashes)
        if made.can_apply and made.has_changes and not _approved(made, arguments, streams):
            streams.put(NOT_APPLIED + "\n")
            return exit_code({1, *_codes(made)})
        try:
            return _carry_out(made, request, arguments, streams, requests.again(arguments, arguments.command))
        except Stale:
            if not left:
                raise
            if not arguments.json:
                streams.put("\nThe hosts have moved since they were asked; planning again.\n\n")


def _check(made: Plan, hashes: frozenset[str]) -> None:
    """What is refused anyway, or does nothing, is not held against what was approved."""
    from unictl.cli import approval_check

    if made.can_apply and made.has_changes:
        approval_check.check(made, hashes)


def _must_be_able_to_ask(arguments: Arguments, streams: Streams) -> None:
    if arguments.auto_approve:
        return
    if arguments.json:
        raise UsageFailure(
            f"{arguments.command} -json cannot ask: nothing was touched", hint="add -auto-approve, or apply a plan file"
        )
    if not streams.interactive:
        raise UsageFailure(
            f"{arguments.command} asks before it acts, and there is no terminal to ask on: nothing was touched",
            hint="add -auto-approve, or save a plan with unictl plan -out FILE, have it read, and apply that",
        )


def _approved(made: Plan, arguments: Arguments, streams: Streams) -> bool:
    if arguments.auto_approve:
        return True
    wanted = made.mark if arguments.command == "destroy" else "yes"
    if wanted == "yes":
        streams.put("\nApply these changes? Only 'yes' is accepted: ")
    else:
        streams.put(f"\nDestroy all of this? Only the fleet's name, {wanted}, is accepted: ")
    return streams.stdin.readline().strip() == wanted


def _carry_out(made: Plan, request: FleetRequest | None, arguments: Arguments, streams: Streams, again: str) -> int:
    """Apply an approved plan, tell the outcome, and say how to go on; nothing where it is refused or empty."""
    codes = _codes(made)
    if not made.can_apply or not made.has_changes:
        return exit_code(codes)
    report = _watched(made, requests.applying(arguments, streams.holder, streams.environment), arguments, streams)
    failed = not report.interrupted and (report.reverted or report.failed)
    if failed and request is not None and arguments.command == "apply" and not arguments.retry:
        again += " -retry"
    # What was done was done, whether or not anybody reads of it: the exit code says how it went.
    with suppress(BrokenPipeError, Failure):
        _tell(made, report, "" if report.complete else again, arguments, streams)
    return exit_code(codes | {report.exit_code, *report.codes})


def _watched(made: Plan, options: ApplyOptions, arguments: Arguments, streams: Streams) -> Report:
    """The apply itself, while its events are shown or streamed."""
    from unictl.cli.interrupts import Interrupts
    from unictl.operations.planning import apply
    from unictl.terminal.abort import leaver
    from unictl.terminal.screen import Screen

    with Interrupts(leaver(streams.stdout, streams.live and not arguments.json)) as interrupts:
        if arguments.json:
            return apply.apply(made, options, _stream(streams), interrupts)
        streams.put("\n")
        screen = Screen(
            streams.stdout,
            clock=time.monotonic,
            live=streams.live,
            colour=streams.colour,
            width=streams.width,
            height=streams.height,
            stopping=lambda: interrupts.asked,
        )
        with screen:
            return apply.apply(made, options, screen.take, interrupts)


def _stream(streams: Streams) -> Callable[[Event], None]:
    """Events as lines of JSON. A reader that goes away does not stop what is being applied."""
    from unictl.views import documents

    first = heard = True

    def take(event: Event) -> None:
        nonlocal first, heard
        if heard:
            try:
                streams.put(documents.line(documents.event(event, first=first)))
            except (OSError, Failure):
                heard = False
        first = False

    return take


def _show(made: Plan, arguments: Arguments, streams: Streams) -> None:
    from unictl.views import documents
    from unictl.views.text import plan_text

    if not arguments.json:
        streams.write(plan_text.plan(made, streams.width, verbose=arguments.verbose))
    elif not made.can_apply or not made.has_changes:
        streams.put(documents.line(documents.plan(made, _codes(made))))
    elif plan_text.written(made):
        streams.put(documents.line(documents.written(made)))


def _tell(made: Plan, report: Report, again: str, arguments: Arguments, streams: Streams) -> None:
    from unictl.views import documents
    from unictl.views.text import apply_report

    if arguments.json:
        streams.put(documents.line(documents.report(made, report, again=again)))
    else:
        streams.put("\n")
        streams.write(apply_report.report(made, report, streams.width, again=again))


def _next(made: Plan, arguments: Arguments) -> tuple[str, ...]:
    """What to type next."""
    if arguments.out and not made.can_apply:
        return (f"Not saved to {arguments.out}: a refused plan cannot be applied.",)
    if arguments.out:
        from unictl.plan.file import approval, planfile

        file = shlex.join([arguments.out])
        return (
            f"Saved the plan to {arguments.out}. To apply exactly this: unictl apply {file}",
            f"Plan hash:     {planfile.plan_hash(made)}",
            f"Approval hash: {approval.approval_hash(made)}",
        )
    if not made.has_changes or not made.can_apply:
        return ()
    return (f"To apply this: {requests.again(arguments, 'apply')}",)


def _codes(made: Plan, detailed: bool = False) -> set[int]:
    """All exit codes that hold of a plan. What failed before and was not changed since is still a failure."""
    from unictl.plan.model.reason import Reason

    lacks = [each.code in _LACKS for each in made.refusals]
    held = {
        1: any(lacks) or any(change.reason == Reason.FAILED_BEFORE for change in made.changes),
        2: detailed and made.has_changes,
        5: bool(made.silent),
        6: not all(lacks),
    }
    return {0} | {code for code, holds in held.items() if holds}
