"""Typed arguments as requests and options of the use cases. Refuses options that cannot be combined."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from unictl.cli.arguments import Arguments
from unictl.cli.command_table import APPLY_OPTIONS, FLEET_OPTIONS, PLAN_OPTIONS
from unictl.diagnostics.failure import UsageFailure
from unictl.fleet import quantities
from unictl.operations.request import ApplyOptions, FleetRequest
from unictl.plan.model.options import PlanOptions

_FALSE = {"", "0", "false", "no", "off"}


def fleet_request(arguments: Arguments, environment: Mapping[str, str]) -> FleetRequest:
    """Which fleet is meant. The lock is not written where CI is set, unless ``-no-locked`` says otherwise."""
    default = environment.get("CI", "").lower() not in _FALSE
    return FleetRequest(
        path=Path(arguments.path),
        environment=arguments.env,
        variables=dict(_parse_variable(assignment) for assignment in arguments.var),
        at=arguments.at,
        locked=default if arguments.locked is None else arguments.locked,
        process_environment=environment,
    )


def plan_options(arguments: Arguments) -> PlanOptions:
    """What a plan is narrowed to or forced to do."""
    numbers = [value for value in arguments.allow_destroy if not value.startswith("volume:")]
    return PlanOptions(
        target=_join_selectors("target", arguments.target),
        exclude=_join_selectors("exclude", arguments.exclude),
        replace=arguments.replace,
        destroy=arguments.destroy or arguments.command == "destroy",
        allow_destroy=_parse_allowed_destroys(numbers),
        allow_changes=arguments.allow_changes,
        allow_volumes=tuple(value.removeprefix("volume:") for value in arguments.allow_destroy if value not in numbers),
        retry=arguments.retry,
        rebalance=arguments.rebalance,
    )


def _join_selectors(word: str, selectors: tuple[str, ...]) -> str:
    """Several are one: what any of them selects. An empty one would be everything, and was most likely a variable."""
    if not all(selector.strip() for selector in selectors):
        hint = f"leave -{word} out where the whole fleet is meant; was it a variable that is not set?"
        raise UsageFailure(f"-{word} has an empty selector", hint=hint)
    return ",".join(selectors)


def apply_options(arguments: Arguments, holder: str, environment: Mapping[str, str]) -> ApplyOptions:
    """How a plan is carried out."""
    return ApplyOptions(
        parallelism=arguments.parallelism or ApplyOptions().parallelism,
        lock_timeout=_parse_seconds(arguments.lock_timeout),
        holder=holder,
        process_environment=environment,
    )


def reject_options_with_plan_file(arguments: Arguments) -> None:
    """A plan file is carried out as it is: what would make another plan of it is refused."""
    rejected = [f"-{option.word}" for option in (*PLAN_OPTIONS, *FLEET_OPTIONS) if getattr(arguments, option.name)]
    if arguments.locked is not None and "-locked" not in rejected:
        rejected.append("-no-locked")
    rejected += ["-retry"] if arguments.retry else []
    if rejected:
        raise UsageFailure(
            f"{', '.join(rejected)} cannot be used with a plan file: it is carried out exactly as it was saved",
            hint="give these to unictl plan -out, and apply what it saves",
        )


def repeat_command(arguments: Arguments, command: str, *extra_words: str) -> str:
    """The command line that asks for the same once more, to be copied."""
    words = ["unictl", command, *([arguments.path] if arguments.path != "." else [])]
    for option in (*FLEET_OPTIONS, *PLAN_OPTIONS, *APPLY_OPTIONS):
        value = getattr(arguments, option.name)
        if option.has_negation:
            words += [] if value is None else [f"-{option.word}" if value else f"-no-{option.word}"]
        elif option.is_repeatable:
            words += [word for item in value for word in (f"-{option.word}", item)]
        elif value:
            words += [f"-{option.word}", *([str(value)] if option.value else [])]
    return shlex.join([*words, *extra_words])


def _parse_variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageFailure(f"-var {text} has no value", hint="write -var NAME=VALUE")
    return name, value


def parse_scale(text: str) -> tuple[str, int]:
    """``api=20``."""
    name, _, number = text.partition("=")
    if not name or not re.fullmatch("[0-9]{1,5}", number):
        raise UsageFailure(f"-scale {text} names no number of replicas", hint="such as -scale api=20")
    return name, int(number)


def _parse_allowed_destroys(numbers: list[str]) -> int | None:
    if invalid := [number for number in numbers if not re.fullmatch("[0-9]{1,9}", number)]:
        raise UsageFailure(
            f"-allow-destroy takes a number of instances or volume:NAME, not {invalid[0]!r}",
            hint="such as -allow-destroy 7 or -allow-destroy volume:orders",
        )
    return int(numbers[-1]) if numbers else None


def _parse_seconds(text: str) -> float:
    if not text or re.fullmatch("[0-9]{1,9}", text):
        return float(text or 0)
    try:
        return quantities.parse_duration(text) / 1000
    except ValueError as problem:
        raise UsageFailure(f"-lock-timeout: {problem}") from None
