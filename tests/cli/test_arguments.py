"""What was typed, as values."""

from pathlib import Path

import pytest

from unictl.cli import requests
from unictl.cli.arguments import Arguments, parse
from unictl.cli.command_table import APPLY_OPTIONS, COMMANDS, FLEET_OPTIONS, PLAN_OPTIONS
from unictl.cli.single_dash import with_double_dashes
from unictl.diagnostics.failure import UsageFailure


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("-out", "--out"),
        ("-out=-x -y", "--out=-x -y"),
        ("-f", "-f"),
        ("-5", "-5"),
        ("-0.5", "-0.5"),
        ("-10s", "-10s"),
        ("-", "-"),
        ("--out", "--out"),
        ("a-b", "a-b"),
        ("X=-word", "X=-word"),
    ],
)
def test_one_dash_before_a_word_is_two_and_nothing_else_changes(typed: str, wanted: str) -> None:
    assert with_double_dashes([typed]) == [wanted]


def test_what_follows_two_dashes_is_left_alone() -> None:
    assert with_double_dashes(["-out", "--", "-out"]) == ["--out", "--", "-out"]


def test_one_dash_and_two_mean_the_same() -> None:
    one = parse(
        ["plan", "shop", "-out=p", "-detailed-exitcode", "-target", "api", "-var", "a=b", "-var", "c=-d", "-env", "e"]
    )
    two = parse(
        [
            "plan",
            "shop",
            "--out=p",
            "--detailed-exitcode",
            "--target",
            "api",
            "--var",
            "a=b",
            "--var",
            "c=-d",
            "--env",
            "e",
        ]
    )
    assert (
        one
        == two
        == Arguments(
            command="plan", path="shop", out="p", detailed_exitcode=True, target=("api",), var=("a=b", "c=-d"), env="e"
        )
    )


def test_what_is_not_typed_is_at_its_default() -> None:
    assert parse(["plan"]) == Arguments(command="plan") and parse(["plan"]).locked is None


def test_no_color_counts_before_and_after_the_command() -> None:
    assert parse(["-no-color", "plan"]).no_color and parse(["plan", "-no-color"]).no_color


def test_every_option_of_the_vocabulary_is_an_argument() -> None:
    known = set(Arguments.__slots__)
    words = {option.name for each in COMMANDS for option in each.options} | {
        a.name for c in COMMANDS for a in c.arguments
    }
    assert {f"{word}_" if word == "from" else word for word in words} <= known


def test_a_fleet_is_asked_for_with_its_variables_and_revision() -> None:
    request = requests.fleet_request(
        parse(["plan", "shop", "-var", "a=b=c", "-at", "v1", "-env", "staging"]), {"HOME": "/h"}
    )
    assert (request.path, request.environment, request.at) == (Path("shop"), "staging", "v1")
    assert request.variables == {"a": "b=c"} and request.process_environment == {"HOME": "/h"}


@pytest.mark.parametrize(
    ("typed", "ci", "locked"),
    [
        ("", "", False),
        ("", "true", True),
        ("", "1", True),
        ("", "false", False),
        ("-locked", "", True),
        ("-no-locked", "true", False),
    ],
)
def test_the_lock_is_kept_where_ci_is_set_unless_told_otherwise(typed: str, ci: str, locked: bool) -> None:
    assert requests.fleet_request(parse(["plan", *typed.split()]), {"CI": ci}).locked is locked


def test_what_may_be_destroyed_is_a_number_or_volumes() -> None:
    options = requests.plan_options(parse(["apply", "-allow-destroy", "7", "-allow-destroy", "volume:orders"]))
    assert (options.allow_destroy, options.allow_volumes) == (7, ("orders",))


def test_what_may_be_destroyed_is_nothing_else() -> None:
    with pytest.raises(UsageFailure, match="not 'all'"):
        requests.plan_options(parse(["apply", "-allow-destroy", "all"]))


def test_a_selector_that_is_given_twice_selects_both() -> None:
    options = requests.plan_options(
        parse(["plan", "-target", "api", "-target", "web,db", "-exclude", "@x", "-exclude", "a-1"])
    )
    assert (options.target, options.exclude) == ("api,web,db", "@x,a-1")


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize("word", ["target", "exclude"])
def test_an_empty_selector_is_a_usage_failure_and_not_the_whole_fleet(word: str, empty: str) -> None:
    with pytest.raises(UsageFailure, match=f"-{word} has an empty selector"):
        requests.plan_options(parse(["apply", f"-{word}", "api", f"-{word}", empty]))


def test_destroy_is_an_apply_that_destroys() -> None:
    assert requests.plan_options(parse(["destroy"])).destroy and not requests.plan_options(parse(["apply"])).destroy


@pytest.mark.parametrize(("typed", "seconds"), [("30s", 30), ("5m", 300), ("7", 7), ("500ms", 0.5)])
def test_a_lock_timeout_has_a_unit_or_is_in_seconds(typed: str, seconds: float) -> None:
    assert requests.apply_options(parse(["apply", "-lock-timeout", typed]), "ann", {}).lock_timeout == seconds


def test_a_lock_timeout_that_is_none_is_a_usage_failure() -> None:
    with pytest.raises(UsageFailure, match="no duration"):
        requests.apply_options(parse(["apply", "-lock-timeout", "soon"]), "ann", {})


def test_the_command_that_goes_on_means_the_same_when_it_is_typed() -> None:
    typed = (
        "my shop",
        "-env",
        "e",
        "-var",
        "a=b c",
        "-target",
        "@x",
        "-replace",
        "api-2",
        "-no-locked",
        "-allow-destroy",
        "3",
    )
    first = parse(["plan", *typed])
    import shlex

    line = shlex.split(requests.repeat_command(first, "apply"))
    again = parse(line[1:])
    assert line[0] == "unictl" and again == Arguments(**{**_fields(first), "command": "apply"})


def _fields(arguments: Arguments) -> dict:
    return {name: getattr(arguments, name) for name in Arguments.__slots__}


def test_all_that_narrows_is_refused_beside_a_plan_file() -> None:
    for option in (*PLAN_OPTIONS, *FLEET_OPTIONS):
        value = {"var": "a=b", "allow-destroy": "1", "allow-changes": "1"}.get(option.word, "x")
        typed = [f"-{option.word}", *([value] if option.value else [])]
        with pytest.raises(UsageFailure, match=f"-{option.word} cannot be used with a plan file"):
            requests.reject_options_with_plan_file(parse(["apply", "p", *typed]))


def test_how_a_plan_is_carried_out_may_be_said_beside_a_plan_file() -> None:
    carried = [each for each in APPLY_OPTIONS if each.word != "retry"]
    typed = [w for o in carried for w in [f"-{o.word}", *(["5"] if o.value else [])]]
    requests.reject_options_with_plan_file(parse(["apply", "p", *typed, "-json", "-verbose"]))
