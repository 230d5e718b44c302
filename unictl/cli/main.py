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
    signal.signal(signal.SIGTERM, _as_interrupt)
    code = main(sys.argv[1:], os.environ, sys.stdin, sys.stdout, sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would fail once more at exit, with a message nobody asked for.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def main(argv: Sequence[str], environment: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Run one command; the exit code says how it went (design.md, section 9)."""
    try:
        return _early(list(argv), stdout) or _run(list(argv), environment, stdin, stdout, stderr)
    except _Done:
        return 0
    except BrokenPipeError:
        return 1 if _ACTING & {*argv} else 0
    except KeyboardInterrupt:
        stderr.write(INTERRUPTED)
        return 130
    except Exception as bug:
        return _bug(bug, environment, stderr)


def _as_interrupt(_number: int, frame: FrameType | None) -> None:
    """A SIGTERM is what Ctrl-C is at that moment. Where that one is ignored, as in the background of a script, nobody
    has made ready for it: the process ends, and what it has asked ends with it."""
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)
        return
    os.write(2, INTERRUPTED.encode())
    os._exit(130)


_ACTING = {"apply", "destroy"}
_ENDLESS = {"logs"}


class _Done(Exception):
    """Answered already."""


def _early(argv: list[str], stdout: TextIO) -> int:
    """Answers what needs no parser, and is then done."""
    if argv in (["--version"], ["-version"], ["-V"], ["-v"], ["version"]):
        stdout.write(f"unictl {__version__}\n")
        raise _Done
    if len(argv) == 2 and argv[0] == "completion" and argv[1] in ("bash", "zsh", "fish"):
        from unictl.cli.completion import script

        stdout.write(script(argv[1]))
        raise _Done
    return 0


def _run(argv: list[str], environment: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    from dataclasses import replace

    from unictl.cli.arguments import Help, overview, parse
    from unictl.diagnostics.failure import Failure, UsageFailure

    width, height = _size(environment, stdout)
    streams = _streams(False, environment, stdin, stdout, stderr, (width, height))
    arguments = None
    try:
        if not argv:
            stderr.write(overview(width))
            return UsageFailure.code
        arguments = parse([*argv[1:], "--help"] if argv[0] == "help" else argv, width)
        from unictl.cli.commands import run

        streams = _streams(arguments.no_color, environment, stdin, stdout, stderr, (width, height))
        looking = arguments.command not in _ACTING | _ENDLESS
        return run(arguments, replace(streams, looking=looking))
    except Help as wanted:
        stdout.write(wanted.text)
        return 0
    except Failure as failure:
        return _fail(failure, arguments, streams)


def _fail(failure: Failure, arguments: Arguments | None, streams: Streams) -> int:
    """Say what went wrong: the problems with their places, the sentence, what to do next; also as JSON."""
    from unictl.views.text import failures

    if arguments and arguments.json:
        from unictl.views import documents

        streams.put(documents.line(documents.failure(failure)))
    streams.tell(failures.text(failure, streams.width))
    return failure.code


def _streams(
    no_color: bool,
    environment: Mapping[str, str],
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
    size: tuple[int, int],
) -> Streams:
    from unictl.cli.streams import Streams

    able = environment.get("TERM", "") != "dumb"
    forced = environment.get("FORCE_COLOR", "0") not in ("", "0", "false")
    coloured = (able or forced) and not no_color and not environment.get("NO_COLOR")
    return Streams(
        environment=environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        width=size[0],
        height=size[1],
        colour=coloured and (forced or stdout.isatty()),
        colour_errors=coloured and (forced or stderr.isatty()),
        interactive=stdin.isatty(),
        live=able and stdout.isatty(),
        holder=f"{environment.get('SUDO_USER') or environment.get('USER') or _user()}@{os.uname().nodename}",
    )


def _user() -> str:
    """Who runs this where the environment does not say it, as under cron or in a container."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _size(environment: Mapping[str, str], stdout: TextIO) -> tuple[int, int]:
    """Columns and lines: those of the terminal, else what COLUMNS says, else 80 by 24."""
    try:
        columns, lines = os.get_terminal_size(stdout.fileno())
    except (OSError, ValueError, AttributeError):
        told = environment.get("COLUMNS", "")
        columns, lines = (int(told) if told.isdecimal() else 80), 24
    return max(40, min(columns or 80, 200)), max(10, lines or 24)


def _bug(bug: Exception, environment: Mapping[str, str], stderr: TextIO) -> int:
    """One sentence. Not the exception's own words: they may hold anything, also a secret."""
    import traceback

    if isinstance(bug, OSError) and bug.filename:
        stderr.write(f"Error: {bug.filename}: {bug.strerror}\n")
        return 1
    if environment.get("UNICTL_DEBUG") == "1":
        traceback.print_exception(bug, file=stderr)
    last = traceback.extract_tb(bug.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119 - pathlib costs 8 ms
    hint = "" if environment.get("UNICTL_DEBUG") == "1" else "; UNICTL_DEBUG=1 shows where it comes from"
    stderr.write(f"Error: unexpected {type(bug).__name__} at {where}: this is a bug in unictl{hint}.\n")
    return 1
