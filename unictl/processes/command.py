"""A command as a value, run to completion. Secrets are passed on standard input, not in argv."""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from unictl.diagnostics.failure import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is to be run. ``timeout`` in seconds; ``env`` replaces the environment whole (None: inherited)."""

    argv: tuple[str, ...]
    input: bytes = b""
    timeout: float | None = None
    env: Mapping[str, str] | None = None
    cwd: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How it ended. ``exit_code`` is negative for a signal, 127 where there is no such program."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.exit_code == 0


class CommandTimeout(Failure):
    """A command took longer than it may."""


def run(command: Command) -> CommandResult:
    """Run it and wait. A missing program is a Finished with 127, a time-out a TimedOut."""
    try:
        completed = subprocess.run(
            command.argv,
            input=command.input,
            capture_output=True,
            timeout=command.timeout,
            env=command.env,
            cwd=command.cwd,
            check=False,
        )
    except OSError as error:
        return _not_started(command, error)
    except subprocess.TimeoutExpired as error:
        raise _timeout_failure(command) from error
    return CommandResult(exit_code=completed.returncode, stdout=completed.stdout, stderr=completed.stderr)


async def run_async(command: Command) -> CommandResult:
    """The same without blocking the loop; a cancelled run kills the command."""
    try:
        process = await spawn(command.argv, env=command.env, cwd=command.cwd)
    except OSError as error:
        return _not_started(command, error)
    try:
        stdout, stderr = await asyncio.wait_for(process.communicate(command.input), command.timeout)
    except TimeoutError as error:
        raise _timeout_failure(command) from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return CommandResult(exit_code=process.returncode or 0, stdout=stdout, stderr=stderr)


async def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    limit: int = 1 << 20,
    own_session: bool = False,
) -> asyncio.subprocess.Process:
    """A process with pipes on all three streams, left to the caller. ``own_session``: a terminal's Ctrl-C passes by."""
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
        limit=limit,
        start_new_session=own_session,
    )


def _not_started(command: Command, error: OSError) -> CommandResult:
    return CommandResult(exit_code=127, stdout=b"", stderr=f"{command.argv[0]}: {error.strerror}".encode())


def _timeout_failure(command: Command) -> CommandTimeout:
    return CommandTimeout(f"{command.argv[0]} took longer than {command.timeout:g} s", hint="run it by hand to see why")
