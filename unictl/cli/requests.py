"""Typed arguments as requests and options of the use cases. Refuses options that cannot be combined."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from unictl.cli.arguments import Arguments
from unictl.cli.command_table import APPLYING, NARROWING, READING
from unictl.diagnostics.failure import UsageFailure
from unictl.fleet import quantities
from unictl.operations.request import ApplyOptions, FleetRequest
from unictl.plan.model.options import PlanOptions

_FALSE = {"", "0", "false", "no", "off"}


def fleet(arguments: Arguments, environment: Mapping[str, str]) -> FleetRequest:
    """Which fleet is meant. The lock is not written where CI is set, unless ``-no-locked`` says otherwise."""
    default = environment.get("CI", "").lower() not in _FALSE
    return FleetRequest(
        path=Path(arguments.path),
        environment=arguments.env,
        variables=dict(_variable(each) for each in arguments.var),
        at=arguments.at,
        locked=default if arguments.locked is None else arguments.locked,
        process_environment=environment,
    )


def narrowing(arguments: Arguments) -> PlanOptions:
    """What a plan is narrowed to or forced to do."""
    numbers = [each for each in arguments.allow_destroy if not each.startswith("volume:")]
    return PlanOptions(
        target=_selector("target", arguments.target),
        exclude=_selector("exclude", arguments.exclude),
        replace=arguments.replace,
        destroy=arguments.destroy or arguments.command == "destroy",
        allow_destroy=_allowed(numbers),
        allow_changes=arguments.allow_changes,
        allow_volumes=tuple(each.removeprefix("volume:") for each in arguments.allow_destroy if each not in numbers),
        retry=arguments.retry,
        rebalance=arguments.rebalance,
    )


def _selector(word: str, given: tuple[str, ...]) -> str:
    """Several are one: what any of them selects. An empty one would be everything, and was most likely a variable."""
    if not all(each.strip() for each in given):
        hint = f"leave -{word} out where the whole fleet is meant; was it a variable that is not set?"
        raise UsageFailure(f"-{word} has an empty selector", hint=hint)
    return ",".join(given)


def applying(arguments: Arguments, holder: str, environment: Mapping[str, str]) -> ApplyOptions:
    """How a plan is carried out."""
    return ApplyOptions(
        parallelism=arguments.parallelism or ApplyOptions().parallelism,
        lock_timeout=_seconds(arguments.lock_timeout),
        holder=holder,
        process_environment=environment,
    )


def only_a_plan_file(arguments: Arguments) -> None:
    """A plan file is carried out as it is: what would make another plan of it is refused."""
    given = [f"-{each.word}" for each in (*NARROWING, *READING) if getattr(arguments, each.name)]
    if arguments.locked is not None and "-locked" not in given:
        given.append("-no-locked")
    given += ["-retry"] if arguments.retry else []
    if given:
        raise UsageFailure(
            f"{', '.join(given)} cannot be used with a plan file: it is carried out exactly as it was saved",
            hint="give these to unictl plan -out, and apply what it saves",
        )


def again(arguments: Arguments, command: str, *more: str) -> str:
    """The command line that asks for the same once more, to be copied."""
    words = ["unictl", command, *([arguments.path] if arguments.path != "." else [])]
    for option in (*READING, *NARROWING, *APPLYING):
        value = getattr(arguments, option.name)
        if option.pair:
            words += [] if value is None else [f"-{option.word}" if value else f"-no-{option.word}"]
        elif option.many:
            words += [word for each in value for word in (f"-{option.word}", each)]
        elif value:
            words += [f"-{option.word}", *([str(value)] if option.value else [])]
    return shlex.join([*words, *more])


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageFailure(f"-var {text} has no value", hint="write -var NAME=VALUE")
    return name, value


def scaled(text: str) -> tuple[str, int]:
    """``api=20``."""
    name, _, number = text.partition("=")
    if not name or not re.fullmatch("[0-9]{1,5}", number):
        raise UsageFailure(f"-scale {text} names no number of replicas", hint="such as -scale api=20")
    return name, int(number)


def _allowed(numbers: list[str]) -> int | None:
    if wrong := [each for each in numbers if not re.fullmatch("[0-9]{1,9}", each)]:
        raise UsageFailure(
            f"-allow-destroy takes a number of instances or volume:NAME, not {wrong[0]!r}",
            hint="such as -allow-destroy 7 or -allow-destroy volume:orders",
        )
    return int(numbers[-1]) if numbers else None


def _seconds(text: str) -> float:
    if not text or re.fullmatch("[0-9]{1,9}", text):
        return float(text or 0)
    try:
        return quantities.duration(text) / 1000
    except ValueError as problem:
        raise UsageFailure(f"-lock-timeout: {problem}") from None
