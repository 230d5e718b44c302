"""The commands that only look."""

import io
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.conftest import Terminal, World
from tests.views import samples
from unictl.cli.command_table import COMMANDS
from unictl.cli.main import main
from unictl.operations.package_data import data_folder


def _validated(problems=(), fleet="fleet"):
    return SimpleNamespace(fleet=fleet, problems=problems, files=("fleet.yaml", "more.yaml"))


def test_a_valid_fleet_is_said_in_a_line(world: World) -> None:
    world.validated = _validated()
    ran = world.run("validate", "shop", "-at", "v1")
    assert (ran.code, ran.out) == (0, "Valid: 2 files.\n")
    assert (str(world.asked["validate"][0].path), world.asked["validate"][0].at) == ("shop", "v1")


def test_an_invalid_fleet_shows_its_problems_and_is_3(world: World) -> None:
    world.validated = _validated((samples.REFUSAL, samples.WARNING), None)
    ran = world.run("validate")
    assert ran.code == 3 and samples.REFUSAL.summary in ran.out
    assert ran.last == "Not valid: 1 error, 1 warning, 2 files."


def test_warnings_alone_are_valid(world: World) -> None:
    world.validated = _validated((samples.WARNING,))
    ran = world.run("validate")
    assert (ran.code, ran.last) == (0, "Valid: 1 warning, 2 files.")


def test_a_validation_as_json(world: World) -> None:
    world.validated = _validated((samples.REFUSAL,), None)
    ran = world.run("validate", "-json")
    document = json.loads(ran.out)
    assert ran.code == 3 and not document["valid"] and document["problems"][0]["code"] == "budget"


def test_a_fleet_is_shown_as_yaml_or_json(world: World) -> None:
    assert world.run("show").out == "fleet:\n  name: shop\n"
    assert json.loads(world.run("show", "-json").out) == {"format_version": "1.0", "fleet": {"name": "shop"}}


def test_a_saved_plan_is_shown_as_it_was(world: World, tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text("{}")
    world.planfiles = {str(file)}
    ran = world.run("show", str(file))
    assert ran.code == 0 and ran.last.startswith("Plan: 0 to add, 2 to replace") and "show" not in world.asked
    assert json.loads(world.run("show", str(file), "-json").out)["type"] == "plan"


def test_the_schema_is_printed_as_it_is(world: World) -> None:
    assert json.loads(world.run("schema").out) == {"$schema": "fleet"}
    assert json.loads(world.run("schema", "plan").out) == {"$schema": "plan"}


def test_lock_writes_also_where_ci_is_set(world: World) -> None:
    world.environment = {"CI": "true"}
    ran = world.run("lock")
    assert (ran.code, ran.out) == (0, "  api\nWrote fleet.lock.\n") and not world.asked["lock"][0].locked


def test_a_status_with_a_silent_host_is_5(world: World) -> None:
    ran = world.run("status")
    assert ran.code == 5 and ran.last.startswith("shop: 3 instances")
    world.document = {**samples.STATUS, "hosts": []}
    assert world.run("status").code == 0


def test_a_status_as_json_is_the_document_itself(world: World) -> None:
    assert json.loads(world.run("status", "-json").out) == samples.STATUS


def test_logs_ask_for_what_was_typed_and_print_line_by_line(world: World) -> None:
    ran = world.run("logs", "api-2", "shop", "-f", "-previous", "-lines", "7")
    request, selector, *rest = world.asked["logs"]
    assert (ran.code, ran.out) == (0, "hello\nworld\n")
    assert (str(request.path), selector, rest) == ("shop", "api-2", [True, 7, True])


def test_locks_say_who_is_at_work(world: World) -> None:
    assert "ann@desk" in world.run("locks").out


def test_init_names_what_it_wrote_and_what_to_type_next(world: World) -> None:
    ran = world.run("init", "-from", "hello", "shop")
    assert ran.out == "Wrote shop/fleet.yaml\nTo see what it would do: unictl plan shop\n"
    assert world.asked["init"] == (Path("shop"), "hello")
    assert world.run("init").out == "Wrote fleet.yaml\nTo see what it would do: unictl plan\n"


def test_init_says_what_cannot_be_planned_yet(tmp_path: Path) -> None:
    out = io.StringIO()
    assert main(["init", "-from", "edge", str(tmp_path)], {}, io.StringIO(), out, out) == 0
    said = out.getvalue()
    assert (
        "so it cannot be planned: UDP ports and\nactivation on request." in said
        and "To see what it would do" not in said
    )


def test_the_help_of_init_names_every_playbook(world: World) -> None:
    known = sorted(each.parent.name for each in data_folder("playbooks").glob("*/fleet.yaml"))
    helped = " ".join(world.run("init", "-help").out.split())
    assert known and all(name in helped.partition("begin with:")[2] for name in known)


def test_what_is_taken_down_is_not_offered_what_starts_something(world: World) -> None:
    helped = world.run("destroy", "-help").out
    assert "--target" in helped and not any(word in helped for word in ("--replace", "--rebalance", "--retry"))
    assert world.run("destroy", "-retry").code == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_knows_every_command_and_option(world: World, shell: str) -> None:
    out = world.run("completion", shell).out
    assert all(each.name in out for each in COMMANDS) and "detailed-exitcode" in out


def test_an_unknown_shell_is_a_usage_failure(world: World) -> None:
    assert world.run("completion", "tcsh").code == 1 and world.run("completion").code == 1


def test_bash_completes_commands_options_and_files(world: World, tmp_path: Path) -> None:
    (tmp_path / "file.plan").touch()
    script = world.run("completion", "bash").out

    def complete(*words: str) -> list[str]:
        quoted = " ".join(words)
        ask = f'COMP_WORDS=({quoted} ""); COMP_CWORD={len(words)}; [ -n "{words[-1]}" ] && COMP_CWORD={len(words) - 1}'
        run = f'{script}\n{ask}\n_unictl; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", run], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert complete("unictl", "va") == ["validate"]
    assert complete("unictl", "plan", "-det") == ["-detailed-exitcode"]
    assert complete("unictl", "plan", "--det") == ["--detailed-exitcode"]
    assert complete("unictl", "apply", "fi") == ["file.plan"]


@pytest.mark.parametrize(
    ("environment", "argv", "coloured"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": ""}, [], True),
        ({"TERM": "dumb"}, [], False),
        ({}, ["-no-color"], False),
    ],
)
def test_colours_are_for_terminals_and_can_be_declined(
    world: World, environment: dict[str, str], argv: list[str], coloured: bool
) -> None:
    out = Terminal()
    assert main(["plan", *argv], environment, Terminal(), out, Terminal()) == 0
    assert ("\x1b[" in out.getvalue()) is coloured and world.asked


def test_colours_can_be_forced_where_there_is_no_terminal(world: World) -> None:
    for environment, coloured in (
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ):
        world.environment = environment
        assert ("\x1b[" in world.run("plan").out) is coloured, environment


def test_elsewhere_than_on_a_terminal_there_is_no_colour(world: World) -> None:
    assert "\x1b" not in world.run("plan").out


def test_the_width_is_told_by_columns_where_there_is_no_terminal(world: World) -> None:
    world.environment = {"COLUMNS": "120"}
    world.plan = samples.plan(samples.bump(2, detail="because it was time " * 20))
    assert 100 < max(map(len, world.run("plan").out.splitlines())) <= 120
