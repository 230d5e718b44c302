"""Commands as values."""

import asyncio
import time

import pytest

from unictl.processes.command import Command, CommandTimeout, run, run_async


def test_input_output_and_code() -> None:
    done = run(Command(argv=("sh", "-c", "cat; echo no >&2; exit 3"), input=b"yes"))
    assert (done.exit_code, done.stdout, done.stderr, done.ok) == (3, b"yes", b"no\n", False)


def test_the_same_without_blocking() -> None:
    done = asyncio.run(run_async(Command(argv=("sh", "-c", "cat; exit 3"), input=b"yes")))
    assert (done.exit_code, done.stdout) == (3, b"yes")


def test_a_missing_program_is_127() -> None:
    assert run(Command(argv=("/nowhere",))).exit_code == 127
    assert asyncio.run(run_async(Command(argv=("/nowhere",)))).exit_code == 127


def test_one_that_takes_too_long_is_ended() -> None:
    begin = time.monotonic()
    with pytest.raises(CommandTimeout):
        run(Command(argv=("sleep", "5"), timeout=0.1))
    with pytest.raises(CommandTimeout):
        asyncio.run(run_async(Command(argv=("sleep", "5"), timeout=0.1)))
    assert time.monotonic() - begin < 3


def test_a_cancelled_one_is_ended() -> None:
    async def act() -> None:
        running = asyncio.create_task(run_async(Command(argv=("sleep", "5"))))
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    begin = time.monotonic()
    asyncio.run(act())
    assert time.monotonic() - begin < 3


def test_environment_and_folder() -> None:
    done = run(Command(argv=("/bin/sh", "-c", "echo $A; pwd"), env={"A": "b"}, cwd="/"))
    assert done.stdout == b"b\n/\n"
