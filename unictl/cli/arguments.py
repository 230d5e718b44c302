"""Command lines as typed arguments. The only module that imports click, for parsing and help alone.

click never touches the streams or the exit of the process: help is returned as text, and a command line that cannot
be parsed raises UsageFailure with a suggestion.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click

from unictl.cli.command_table import COMMANDS, NO_COLOR, Argument, Command, Option
from unictl.cli.single_dash import with_double_dashes
from unictl.diagnostics.failure import UsageFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was typed, by the vocabulary's names; what a command does not have is at its default."""

    command: str
    path: str = "."
    directory: str = "."
    selector: str = ""
    shell: str = ""
    format: str = ""
    steps: bool = False
    markdown: bool = False
    html: str = ""
    document: str = "fleet"
    expect_hash: tuple[str, ...] = ()
    from_: str = ""
    env: str = ""
    var: tuple[str, ...] = ()
    at: str = ""
    locked: bool | None = None
    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    destroy: bool = False
    allow_destroy: tuple[str, ...] = ()
    end_holder: str = ""
    allow_changes: int | None = None
    lose: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    scale: tuple[str, ...] = ()
    assume: bool = False
    junit: str = ""
    out: str = ""
    detailed_exitcode: bool = False
    auto_approve: bool = False
    parallelism: int | None = None
    lock_timeout: str = ""
    retry: bool = False
    rebalance: bool = False
    follow: bool = False
    previous: bool = False
    check: bool = False
    lines: int | None = None
    verbose: bool = False
    json: bool = False
    no_color: bool = False


class HelpRequested(Exception):
    """Help was asked for; ``text`` is what it says."""

    def __init__(self, text: str):
        super().__init__(text)
        self.text = text


def parse(arguments: list[str], width: int = 80) -> Arguments:
    """The arguments of one command; Help where that is wanted, UsageFailure where they cannot be understood."""
    context = {"max_content_width": width, "terminal_width": min(width, 100), "help_option_names": []}
    try:
        parsed = _build_group(context).main(with_double_dashes(arguments), prog_name="unictl", standalone_mode=False)
    except click.UsageError as problem:
        raise _usage_failure(problem, _command_words(arguments), arguments) from None
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    assert isinstance(parsed, Arguments)
    return parsed


def overview(width: int = 80) -> str:
    """What ``unictl --help`` prints."""
    try:
        parse(["--help"], width)
    except HelpRequested as help_request:
        return help_request.text
    return ""


class _InvalidNumber(click.BadParameter):
    """What stands where a number is wanted."""


def _parse_number(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    if value is None or re.fullmatch("[1-9][0-9]{0,8}", value):
        return None if value is None else int(value)
    word = option.opts[-1].removeprefix("-")
    raise _InvalidNumber(f"{word} wants a whole number from 1 on, not {value!r}", context, option)


class _Group(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant, or what may have been meant."""
        if self.get_command(ctx, args[0]) is None:
            raise UsageFailure(
                f"there is no command {args[0]!r}{_suggestion(args[0], self.commands)}", hint="unictl --help lists them"
            )
        return super().resolve_command(ctx, args)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the vocabulary's order: the way they are used, not the alphabet."""
        return [command.name for command in COMMANDS]


def _build_group(context: dict[str, Any]) -> click.Group:
    group = _Group(
        name="unictl",
        help="Runs fleets of unikernels: declarative, agentless, replace-only.",
        epilog="-word and --word are the same. unictl COMMAND -help says more and shows examples.",
        context_settings=context,
        params=[_build_option(NO_COLOR), _version_option(), _help_option()],
        no_args_is_help=False,
        subcommand_metavar="COMMAND ...",
    )
    group.callback = lambda **_: None
    for command in COMMANDS:
        group.add_command(_build_command(command))
    return group


def _build_command(command: Command) -> click.Command:
    options = [_build_option(item) for item in (*command.options, NO_COLOR)]
    examples = "\n".join(["\b", "Examples:", *(f"  {item}" for item in command.examples)])
    return click.Command(
        name=command.name,
        help=f"{command.summary}\n\n{command.description}\n\n{examples}",
        short_help=command.summary,
        params=[*(_build_argument(item) for item in command.arguments), *options, _help_option()],
        callback=_collector(command.name),
        add_help_option=False,
    )


def _collector(name: str) -> Callable[..., Arguments]:
    def collect(**values: Any) -> Arguments:
        root_values = click.get_current_context().find_root().params
        values["no_color"] = values.get("no_color") or root_values.get("no_color", False)
        supplied = {key: value for key, value in values.items() if value is not None}
        return Arguments(command=name, **{"from_" if key == "from" else key: value for key, value in supplied.items()})

    return collect


def _build_argument(argument: Argument) -> click.Argument:
    required = argument.default is None
    default = {} if required else {"default": argument.default}
    return click.Argument(
        [argument.name], metavar=argument.metavar if required else f"[{argument.metavar}]", required=required, **default
    )


def _build_option(option: Option) -> click.Option:
    names = [option.name, *([f"-{option.short}"] if option.short else [])]
    declaration = f"--{option.word}/--no-{option.word}" if option.has_negation else f"--{option.word}"
    if not option.value:
        return click.Option([*names, declaration], is_flag=True, default=None, help=option.help)
    callback = _parse_number if option.is_number else None
    return click.Option(
        [*names, declaration],
        metavar=option.value,
        type=click.STRING,
        multiple=option.is_repeatable,
        callback=callback,
        help=option.help,
    )


def _help_option() -> click.Option:
    def show(context: click.Context, _: click.Parameter, is_requested: bool) -> None:
        if is_requested and not context.resilient_parsing:
            raise HelpRequested(context.get_help() + "\n")

    options = ["help_", "--help", "-h"]
    return click.Option(
        options, is_flag=True, expose_value=False, is_eager=True, callback=show, help="Print this and exit."
    )


def _version_option() -> click.Option:
    return click.Option(["--version"], is_flag=True, expose_value=False, help="Print the version and exit.")


def _command_words(arguments: list[str]) -> str:
    """The command that was typed, as it is named in a sentence; click does not say it of every problem."""
    names = {argument.name for argument in COMMANDS}
    return " ".join(["unictl", *[argument for argument in arguments if argument in names][:1]])


def _usage_failure(problem: click.UsageError, command: str, typed: list[str]) -> UsageFailure:
    """click's sentence as ours: without a capital and full stop, with what may have been meant."""
    hint = f"{command} --help says what there is"
    if isinstance(problem, click.NoSuchOption):
        option_names = (
            [name.lstrip("-") for item in problem.ctx.command.params for name in item.opts] if problem.ctx else []
        )
        word = problem.option_name.lstrip("-")
        # As it was typed: with one dash or two.
        dash = "-" if f"-{word}" in (item.partition("=")[0] for item in typed) else "--"
        return UsageFailure(f"{command} has no option {dash}{word}{_suggestion(word, option_names, dash)}", hint=hint)
    if isinstance(problem, click.MissingParameter) and problem.param:
        return UsageFailure(
            f"{command} wants {problem.param.make_metavar(problem.ctx)}" if problem.ctx else "", hint=hint
        )
    if isinstance(problem, _InvalidNumber):
        return UsageFailure(f"{command}: {problem.message}", hint=hint)
    sentence = problem.format_message().rstrip(".")
    return UsageFailure(f"{command}: {sentence[:1].lower()}{sentence[1:]}", hint=hint)


def _suggestion(word: str, candidates: Iterable[str], dash: str = "") -> str:
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f", did you mean {dash}{matches[0]}?" if matches else ""
