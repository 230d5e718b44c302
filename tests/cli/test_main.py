"""The way in: usage, failures, bugs, exit codes."""

import io

import pytest

from tests.cli.conftest import World
from tests.views import samples
from unictl import __version__
from unictl.cli.command_table import COMMANDS
from unictl.cli.main import main
from unictl.diagnostics import failure


def test_the_version_is_one_line(world: World) -> None:
    assert {world.run(word).out for word in ("--version", "-version", "-V")} == {f"unictl {__version__}\n"}


@pytest.mark.parametrize("typed", ["plna", "aply"])
def test_a_typo_in_a_command_exits_1_and_says_what_was_meant(world: World, typed: str) -> None:
    ran = world.run(typed)
    assert ran.code == 1 and "did you mean" in ran.err and ran.out == ""


def test_a_typo_in_an_option_exits_1_and_says_what_was_meant(world: World) -> None:
    ran = world.run("plan", "-detaled-exitcode")
    assert ran.code == 1 and "no option -detaled-exitcode, did you mean -detailed-exitcode?" in ran.err
    assert "no option --bogus.\n" in world.run("plan", "--bogus").err and not world.asked


def test_a_number_that_is_none_is_told_with_what_is_wanted(world: World) -> None:
    for typed in ("ten", "0", "-1"):
        said = world.run("apply", "-auto-approve", "-parallelism", typed).err
        assert f"-parallelism wants a whole number from 1 on, not '{typed}'" in said and not world.asked


def test_help_and_version_are_understood_as_commands_too(world: World) -> None:
    assert world.run("help").out == world.run("--help").out
    assert world.run("help", "plan").out == world.run("plan", "--help").out
    assert world.run("version").out == world.run("-v").out == world.run("--version").out


@pytest.mark.parametrize(
    "argv",
    [["plan", "-out"], ["logs"], ["apply", "-parallelism", "many"], ["plan", "a", "b"], ["plan", "-var", "x"], []],
)
def test_every_usage_error_exits_1_and_never_2(world: World, argv: list[str]) -> None:
    ran = world.run(*argv)
    assert ran.code == 1 and ran.err and not world.asked


@pytest.mark.parametrize("name", [each.name for each in COMMANDS])
def test_every_command_has_help_with_an_example(world: World, name: str) -> None:
    for word in ("--help", "-help", "-h"):
        ran = world.run(name, word)
        assert ran.code == 0 and "Example" in ran.out and f"unictl {name}" in ran.out and ran.err == ""


def test_help_lists_every_command(world: World) -> None:
    out = world.run("--help").out
    assert all(f"\n  {each.name} " in out for each in COMMANDS)


_FAILURES = (
    failure.Failure,
    failure.UsageFailure,
    failure.InvalidFleet,
    failure.Stale,
    failure.Unreachable,
    failure.Refused,
    failure.Locked,
    failure.RolledBack,
    failure.Interrupted,
)


@pytest.mark.parametrize("kind", _FAILURES)
def test_a_failure_is_a_sentence_with_a_hint_and_its_problems_and_its_own_code(
    world: World, kind: type[failure.Failure]
) -> None:
    world.raises = kind("the moon is full", hint="wait a day", problems=(samples.REFUSAL,))
    ran = world.run("plan")
    assert ran.code == kind.code and "Traceback" not in ran.err
    assert "Error: the moon is full.\nNext: wait a day\n" in ran.err and samples.REFUSAL.summary in ran.err


def test_a_failure_is_also_a_document_where_json_was_asked_for(world: World) -> None:
    world.raises = failure.Locked("ann is at work")
    ran = world.run("plan", "-json")
    assert ran.code == 7 and '"exit_code":7' in ran.out and '"format_version":"1.0"' in ran.out


def test_a_bug_is_one_sentence_that_holds_no_words_of_the_exception(world: World) -> None:
    world.raises = ValueError("hunter2")
    ran = world.run("plan")
    assert ran.code == 1 and "this is a bug in unictl" in ran.err and ran.err.count("\n") == 1
    assert "hunter2" not in ran.err and "Traceback" not in ran.err


def test_the_traceback_of_a_bug_is_shown_when_asked_for(world: World) -> None:
    world.raises, world.environment = ValueError("x"), {"UNICTL_DEBUG": "1"}
    ran = world.run("plan")
    assert ran.code == 1 and "Traceback" in ran.err and "this is a bug in unictl" in ran.err


def test_a_file_that_cannot_be_used_is_no_bug(world: World) -> None:
    world.raises = PermissionError(13, "Permission denied", "/x/y.plan")
    assert world.run("plan").err == "Error: /x/y.plan: Permission denied\n"


def test_ctrl_c_is_130(world: World) -> None:
    world.raises = KeyboardInterrupt()
    ran = world.run("plan")
    assert ran.code == 130 and ran.err == "\nInterrupted.\n"


@pytest.mark.usefixtures("world")
def test_a_reader_that_has_gone_is_quiet() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    for argv, code in (
        (["plan"], 0),
        (["plan", "-detailed-exitcode"], 2),
        (["show", "-json"], 0),
        (["schema", "plan"], 0),
        (["status"], 5),
        (["logs", "api"], 0),
        (["--help"], 0),
        (["apply", "-auto-approve"], 1),
    ):
        err = io.StringIO()
        assert main(argv, {}, io.StringIO(), Gone(), err) == code, argv
        assert err.getvalue() == "", argv
