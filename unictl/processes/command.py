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
class Finished:
    """How it ended. ``code`` is negative for a signal, 127 where there is no such program."""

    code: int
    out: bytes
    err: bytes

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.code == 0


class TimedOut(Failure):
    """A command took longer than it may."""


def run(command: Command) -> Finished:
    """Run it and wait. A missing program is a Finished with 127, a time-out a TimedOut."""
    try:
        done = subprocess.run(
            command.argv,
            input=command.input,
            capture_output=True,
            timeout=command.timeout,
            env=command.env,
            cwd=command.cwd,
            check=False,
        )
    except OSError as error:
        return _missing(command, error)
    except subprocess.TimeoutExpired as error:
        raise _late(command) from error
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


async def run_async(command: Command) -> Finished:
    """The same without blocking the loop; a cancelled run kills the command."""
    try:
        process = await spawn(command.argv, env=command.env, cwd=command.cwd)
    except OSError as error:
        return _missing(command, error)
    try:
        out, err = await asyncio.wait_for(process.communicate(command.input), command.timeout)
    except TimeoutError as error:
        raise _late(command) from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return Finished(code=process.returncode or 0, out=out, err=err)


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


def _missing(command: Command, error: OSError) -> Finished:
    return Finished(code=127, out=b"", err=f"{command.argv[0]}: {error.strerror}".encode())


def _late(command: Command) -> TimedOut:
    return TimedOut(f"{command.argv[0]} took longer than {command.timeout:g} s", hint="run it by hand to see why")
