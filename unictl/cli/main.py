"""Entry point: arguments, environment and streams -> exit code. The only module that reads the process itself.

`--version` and `completion` answer before anything expensive is imported.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from unictl import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType
    from typing import TextIO

    from unictl.cli.arguments import Arguments
    from unictl.cli.streams import Streams
    from unictl.diagnostics.failure import Failure


INTERRUPTED = "\nInterrupted.\n"


def script() -> int:
    """The console script. A character that a stream cannot show is escaped; a reader that has gone is no error."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # It was closed: nobody is there to write, or to read.
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - pathlib costs 8 ms; open until the end
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _handle_sigterm)
    code = main(sys.argv[1:], os.environ, sys.stdin, sys.stdout, sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would fail once more at exit, with a message nobody asked for.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def main(argv: Sequence[str], environment: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Run one command; the exit code says how it went."""
    try:
        return _answer_without_parser(list(argv), stdout) or _run_command(
            list(argv), environment, stdin, stdout, stderr
        )
    except _AlreadyAnswered:
        return 0
    except BrokenPipeError:
        return 1 if _CHANGING_COMMANDS & {*argv} else 0
    except KeyboardInterrupt:
        stderr.write(INTERRUPTED)
        return 130
    except Exception as bug:
        return _report_bug(bug, environment, stderr)


def _handle_sigterm(_number: int, frame: FrameType | None) -> None:
    """A SIGTERM is what Ctrl-C is at that moment. Where that one is ignored, as in the background of a script, nobody
    has made ready for it: the process ends, and what it has asked ends with it."""
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)
        return
    os.write(2, INTERRUPTED.encode())
    os._exit(130)


_CHANGING_COMMANDS = {"apply", "destroy"}
_STREAMING_COMMANDS = {"logs"}


class _AlreadyAnswered(Exception):
    """Answered already."""


def _answer_without_parser(argv: list[str], stdout: TextIO) -> int:
    """Answers what needs no parser, and is then done."""
    if argv in (["--version"], ["-version"], ["-V"], ["-v"], ["version"]):
        stdout.write(f"unictl {__version__}\n")
        raise _AlreadyAnswered
    if len(argv) == 2 and argv[0] == "completion" and argv[1] in ("bash", "zsh", "fish"):
        from unictl.cli.completion import script

        stdout.write(script(argv[1]))
        raise _AlreadyAnswered
    return 0


def _run_command(argv: list[str], environment: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    from dataclasses import replace

    from unictl.cli.arguments import HelpRequested, overview, parse
    from unictl.diagnostics.failure import Failure, UsageFailure

    width, height = _terminal_size(environment, stdout)
    streams = _build_streams(False, environment, stdin, stdout, stderr, (width, height))
    arguments = None
    try:
        if not argv:
            stderr.write(overview(width))
            return UsageFailure.code
        arguments = parse([*argv[1:], "--help"] if argv[0] == "help" else argv, width)
        from unictl.cli.commands import run

        streams = _build_streams(arguments.no_color, environment, stdin, stdout, stderr, (width, height))
        is_read_only = arguments.command not in _CHANGING_COMMANDS | _STREAMING_COMMANDS
        return run(arguments, replace(streams, is_read_only=is_read_only))
    except HelpRequested as help_request:
        stdout.write(help_request.text)
        return 0
    except Failure as failure:
        return _report_failure(failure, arguments, streams)


def _report_failure(failure: Failure, arguments: Arguments | None, streams: Streams) -> int:
    """Say what went wrong: the problems with their places, the sentence, what to do next; also as JSON."""
    from unictl.views.text import failures

    if arguments and arguments.json:
        from unictl.views import documents

        streams.put(documents.to_line(documents.failure_document(failure)))
    streams.write_errors(failures.render(failure, streams.width))
    return failure.code


def _build_streams(
    no_color: bool,
    environment: Mapping[str, str],
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
    size: tuple[int, int],
) -> Streams:
    from unictl.cli.streams import Streams

    has_capable_terminal = environment.get("TERM", "") != "dumb"
    is_forced = environment.get("FORCE_COLOR", "0") not in ("", "0", "false")
    coloured = (has_capable_terminal or is_forced) and not no_color and not environment.get("NO_COLOR")
    return Streams(
        environment=environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        width=size[0],
        height=size[1],
        colour=coloured and (is_forced or stdout.isatty()),
        colour_errors=coloured and (is_forced or stderr.isatty()),
        is_interactive=stdin.isatty(),
        is_live=has_capable_terminal and stdout.isatty(),
        holder=f"{environment.get('SUDO_USER') or environment.get('USER') or _user_name()}@{os.uname().nodename}",
    )


def _user_name() -> str:
    """Who runs this where the environment does not say it, as under cron or in a container."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _terminal_size(environment: Mapping[str, str], stdout: TextIO) -> tuple[int, int]:
    """Columns and lines: those of the terminal, else what COLUMNS says, else 80 by 24."""
    try:
        columns, lines = os.get_terminal_size(stdout.fileno())
    except (OSError, ValueError, AttributeError):
        columns_text = environment.get("COLUMNS", "")
        columns, lines = (int(columns_text) if columns_text.isdecimal() else 80), 24
    return max(40, min(columns or 80, 200)), max(10, lines or 24)


def _report_bug(bug: Exception, environment: Mapping[str, str], stderr: TextIO) -> int:
    """One sentence. Not the exception's own words: they may hold anything, also a secret."""
    import traceback

    if isinstance(bug, OSError) and bug.filename:
        stderr.write(f"Error: {bug.filename}: {bug.strerror}\n")
        return 1
    if environment.get("UNICTL_DEBUG") == "1":
        traceback.print_exception(bug, file=stderr)
    last = traceback.extract_tb(bug.__traceback__)[-1]
    location = f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119 - pathlib costs 8 ms
    hint = "" if environment.get("UNICTL_DEBUG") == "1" else "; UNICTL_DEBUG=1 shows where it comes from"
    stderr.write(f"Error: unexpected {type(bug).__name__} at {location}: this is a bug in unictl{hint}.\n")
    return 1
