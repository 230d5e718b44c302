"""``plan``, ``apply`` and ``destroy``."""

import json
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

import unictl.operations.planning.plans
from tests.cli.conftest import World
from tests.views import samples
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.journal.report import Report
from unictl.plan.file import planfile
from unictl.plan.file.approval import approval_hash
from unictl.plan.model.change import Action
from unictl.plan.model.plan_facts import PlanFacts
from unictl.plan.model.reason import Reason
from unictl.plan.model.step import Step, StepKind

_SILENT = {"hv9": "no route to host"}
_PROBLEM = Diagnostic(code="not-healthy", summary="api-0 was not healthy within 30s")


def test_a_plan_ends_with_what_to_type_and_the_summary(world: World) -> None:
    ran = world.run("plan", "shop", "-target", "api", "-verbose")
    assert ran.code == 0
    assert ran.out.splitlines()[-3:] == ["To apply this: unictl apply shop -target api", "", ran.last]
    assert ran.last == "Plan: 0 to add, 2 to replace, 0 to destroy, 0 to adjust, 0 unchanged."


def test_a_saved_plan_says_how_to_apply_exactly_this(world: World) -> None:
    ran = world.run("plan", "-out", "my plan")
    assert "Saved the plan to my plan. To apply exactly this: unictl apply 'my plan'\n" in ran.out
    assert str(world.asked["save"][1]) == "my plan"


def test_a_refused_plan_is_not_saved_and_says_so(world: World) -> None:
    world.plan = samples.plan(samples.destroys(4), refusals=(samples.REFUSAL,))
    ran = world.run("plan", "-out", "p")
    assert ran.code == 6 and "save" not in world.asked and "Not saved to p" in ran.out and "cache-3" in ran.out


@pytest.mark.parametrize(
    ("more", "argv", "code"),
    [
        ({}, [], 0),
        ({}, ["-detailed-exitcode"], 2),
        ({"silent": _SILENT}, [], 5),
        ({"silent": _SILENT}, ["-detailed-exitcode"], 5),
        ({"refusals": (samples.REFUSAL,)}, ["-detailed-exitcode"], 6),
        ({"refusals": (samples.REFUSAL,), "silent": _SILENT}, [], 6),
    ],
)
def test_the_exit_code_of_a_plan_is_the_gravest_that_holds(world: World, more: dict, argv: list, code: int) -> None:
    world.plan = samples.plan(samples.bump(1), **more)
    assert world.run("plan", *argv).code == code


def test_what_is_not_there_is_a_failure_and_no_refusal_by_a_rule(world: World) -> None:
    nowhere = Diagnostic(code="image-nowhere", summary="the bytes of api.kernel are nowhere")
    world.plan = samples.plan(samples.bump(2), refusals=(nowhere,))
    assert world.run("plan").code == world.run("apply", "-auto-approve").code == 1
    world.plan = samples.plan(samples.bump(2), refusals=(nowhere, samples.REFUSAL))
    assert world.run("plan").code == 6 and json.loads(world.run("plan", "-json").out)["exit_codes"] == [0, 1, 6]


def test_the_json_of_an_apply_begins_with_what_was_written_into_the_lock(world: World) -> None:
    world.plan = samples.plan(samples.bump(2), facts=PlanFacts(relocked=("endpoint zed.http 23102",)))
    first = json.loads(world.run("apply", "-json", "-auto-approve").out.splitlines()[0])
    assert (first["type"], first["changed"]) == ("lock", ["endpoint zed.http 23102"])


def test_a_destroy_that_failed_goes_on_with_itself(world: World) -> None:
    world.report = Report(failed=((samples.STEP, _PROBLEM),))
    assert "To go on: unictl destroy shop -auto-approve\n" in world.run("destroy", "shop", "-auto-approve").out


def test_what_failed_before_is_a_failure_still(world: World) -> None:
    held = replace(samples.kept(1)[0], action=Action.HELD, reason=Reason.FAILED_BEFORE)
    world.plan = samples.plan((held,))
    assert world.run("plan", "-detailed-exitcode").code == 1
    assert world.run("apply", "-auto-approve").code == 1
    assert "apply" not in world.asked


def test_nothing_to_do_is_one_line_and_0_also_in_detail(world: World) -> None:
    world.plan = samples.plan(samples.kept(3))
    ran = world.run("plan", "-detailed-exitcode")
    assert (ran.code, ran.out) == (0, "No changes. The hosts run what the fleet file says.\n")


def test_the_json_of_a_plan_lists_all_exit_codes(world: World) -> None:
    world.plan = samples.plan(samples.bump(1), silent=_SILENT, refusals=(samples.REFUSAL,))
    ran = world.run("plan", "-json", "-detailed-exitcode")
    assert ran.code == 6 and json.loads(ran.out)["exit_codes"] == [0, 2, 5, 6] and ran.err == ""


def test_without_a_terminal_an_apply_refuses_before_the_fleet_is_even_read(world: World) -> None:
    for command in ("apply", "destroy"):
        ran = world.run(command)
        assert ran.code == 1 and "no terminal to ask on: nothing was touched" in ran.err and not world.asked


def test_json_cannot_ask(world: World) -> None:
    ran = world.run("apply", "-json", typed="yes\n")
    assert ran.code == 1 and "cannot ask" in ran.err and not world.asked


@pytest.mark.parametrize("typed", ["", "y\n", "YES\n", "no\n", "\n"])
def test_only_yes_is_yes(world: World, typed: str) -> None:
    ran = world.run("apply", typed=typed)
    assert ran.code == 1 and "apply" not in world.asked and ran.last.endswith("Not applied: nothing was touched.")


def test_what_cannot_be_meant_is_told_before_the_fleet_is_read(world: World) -> None:
    ran = world.run("apply", "-auto-approve", "-lock-timeout", "soon")
    assert ran.code == 1 and "-lock-timeout: 'soon' is no duration" in ran.err and not world.asked


def test_a_plan_file_that_is_not_there_is_told_as_that_also_where_nobody_can_be_asked(world: World) -> None:
    ran = world.run("apply", "changes.plan")
    assert ran.code == 1 and "there is no such plan file or folder: changes.plan" in ran.err and not world.asked


def test_yes_applies_what_was_shown(world: World) -> None:
    ran = world.run("apply", typed="yes\n")
    assert ran.code == 0 and world.asked["apply"][0] is world.plan
    assert "Apply these changes? Only 'yes' is accepted: " in ran.out
    assert ran.last == "Apply complete: 0 added, 2 replaced, 0 destroyed, 0 adjusted."


def test_a_destroy_asks_for_the_fleets_name(world: World) -> None:
    assert world.run("destroy", typed="yes\n").code == 1 and "apply" not in world.asked
    assert world.run("destroy", typed="shop\n").code == 0 and world.asked["plan"][1].destroy


def test_auto_approve_does_not_ask(world: World) -> None:
    ran = world.run("apply", "-auto-approve", "-parallelism", "3", "-lock-timeout", "30s", "-retry")
    assert ran.code == 0 and "accepted" not in ran.out
    options = world.asked["apply"][1]
    assert (options.parallelism, options.lock_timeout) == (3, 30.0) and world.asked["plan"][1].retry


def test_a_plan_file_is_applied_without_asking_and_without_a_fleet(world: World) -> None:
    world.planfiles = {"p"}
    ran = world.run("apply", "p")
    assert ran.code == 0 and "plan" not in world.asked


def test_a_plan_file_cannot_be_narrowed(world: World) -> None:
    world.planfiles = {"p"}
    ran = world.run("apply", "p", "-target", "api")
    assert ran.code == 1 and "-target cannot be used with a plan file" in ran.err and not world.asked


@pytest.mark.parametrize("argv", [["-auto-approve"], ["p"]])
def test_a_refused_plan_is_never_applied(world: World, argv: list[str]) -> None:
    world.planfiles, world.plan = {"p"}, samples.plan(samples.bump(1), refusals=(samples.REFUSAL,))
    ran = world.run("apply", *argv)
    assert ran.code == 6 and "apply" not in world.asked and "nothing was touched" in ran.out


def test_nothing_to_do_asks_nothing(world: World) -> None:
    world.plan = samples.plan(samples.kept(3))
    ran = world.run("apply", typed="")
    assert (ran.code, ran.last) == (0, "No changes. The hosts run what the fleet file says.")


def test_an_apply_past_a_silent_host_is_5(world: World) -> None:
    world.plan = samples.plan(samples.bump(1), silent=_SILENT)
    assert world.run("apply", "-auto-approve").code == 5


def test_a_roll_back_is_8_and_says_how_to_try_again(world: World) -> None:
    prove = Step(id="prove:api-0", kind=StepKind.PROVE, host="hv1", subject="api-0")
    world.report = Report(failed=((prove, _PROBLEM),), reverted=(samples.STEP,))
    ran = world.run("apply", "shop", "-auto-approve")
    assert ran.code == 8 and "To go on: unictl apply shop -auto-approve -retry\n" in ran.out
    assert ran.last.startswith("Apply rolled back: 0 added, 0 replaced")


def test_an_interrupted_apply_is_130_and_goes_on_with_the_same_command(world: World) -> None:
    world.report = Report(skipped=((samples.STEP, ""),), interrupted=True)
    ran = world.run("apply", "-auto-approve")
    assert ran.code == 130 and "To go on: unictl apply -auto-approve\n" in ran.out


def test_a_plan_file_that_failed_midway_goes_on_with_a_new_one(world: World) -> None:
    world.planfiles, world.report = {"p"}, Report(failed=((samples.STEP, _PROBLEM),))
    ran = world.run("apply", "p")
    assert ran.code == 1 and "To go on: unictl plan -out p" in ran.out


def test_every_exit_code_of_a_report_counts(world: World) -> None:
    world.report = Report(failed=((samples.STEP, _PROBLEM),), codes=(4, 5))
    assert world.run("apply", "-auto-approve").code == 4


def test_the_json_of_an_apply_is_a_stream_that_ends_with_the_report(world: World) -> None:
    ran = world.run("apply", "-auto-approve", "-json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["type"] for line in lines] == ["began", "started", "finished", "ended", "report"]
    assert lines[0]["format_version"] == "1.0" and lines[-1]["complete"] and ran.err == ""


def test_the_json_of_an_apply_without_anything_to_do_is_the_plan(world: World) -> None:
    world.plan = samples.plan(samples.kept(1))
    ran = world.run("apply", "-auto-approve", "-json")
    assert json.loads(ran.out)["type"] == "plan" and ran.code == 0


def test_what_is_under_way_is_told_in_plain_lines_where_there_is_no_terminal(world: World) -> None:
    assert "api-0.7f3c9a1b: launched on hv1 [1s]\n" in world.run("apply", "-auto-approve").out


def test_the_summary_counts_what_was_done_when_the_plan_had_more(world: World) -> None:
    step = replace(samples.STEP, subject="api-0.aa")
    world.plan = replace(world.plan, steps=(step, Step(id="x", kind=StepKind.LAUNCH, subject="api-1.bb")))
    world.report = Report(done=(step,), failed=((world.plan.steps[1], _PROBLEM),))
    ran = world.run("apply", "-auto-approve")
    assert ran.last == "Apply failed: 0 added, 1 replaced, 0 destroyed, 0 adjusted; steps: 1 done, 1 failed."


def test_a_saved_plan_prints_both_hashes(world: World) -> None:
    out = world.run("plan", "-out", "p").out
    assert f"Plan hash:     {planfile.plan_hash(world.plan)}\n" in out
    assert f"Approval hash: {approval_hash(world.plan)}\n" in out
    document = json.loads(world.run("plan", "-json").out)
    assert (document["hash"], document["approval_hash"]) == (
        planfile.plan_hash(world.plan),
        approval_hash(world.plan),
    )


def test_what_was_approved_is_applied(world: World) -> None:
    ran = world.run("apply", "-auto-approve", "-expect-hash", "0" * 64, "-expect-hash", approval_hash(world.plan))
    assert ran.code == 0 and "apply" in world.asked


def test_what_nobody_approved_is_4_and_named_and_touches_nothing(world: World) -> None:
    ran = world.run("apply", "-auto-approve", "-expect-hash", "0" * 64)
    assert ran.code == 4 and "apply" not in world.asked
    assert "nobody approved: replace api 2 instances on hv0, hv1 (replace_because_image)" in " ".join(ran.err.split())


def test_a_saved_plan_is_held_to_what_was_approved_too(world: World) -> None:
    world.planfiles = {"p"}
    assert world.run("apply", "p", "-expect-hash", "0" * 64).code == 4
    assert world.run("apply", "p", "-expect-hash", approval_hash(world.plan)).code == 0


def test_rows_of_several_approved_plans_add_up_and_those_no_longer_needed_are_no_matter(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bump, gone, step = samples.bump(3), samples.destroys(1), Step(id="x", kind=StepKind.BARRIER)
    for name, changes in (("one", bump), ("two", gone), ("both", (*bump[:2], *gone))):
        (tmp_path / name).write_text(planfile.dump(samples.plan(changes, steps=(step,))))
    monkeypatch.setattr(unictl.operations.planning.plans, "open_plan", lambda path: planfile.load(path.read_text()))
    world.plan = planfile.load((tmp_path / "both").read_text())
    one, two = (["-expect-hash", str(tmp_path / name)] for name in ("one", "two"))
    assert world.run("apply", "-auto-approve", *one).code == 4
    ran = world.run("apply", "-auto-approve", *one, *two)
    assert ran.code == 0 and "apply" in world.asked


def test_rows_can_be_approved_one_by_one(world: World) -> None:
    rows = json.loads(world.run("plan", "-json").out)["rows"]
    hashes = [word for row in rows for word in ("-expect-hash", row["hash"])]
    assert world.run("apply", "-auto-approve", *hashes[:2]).code == 4
    assert world.run("apply", "-auto-approve", *hashes).code == 0


def test_what_is_neither_a_hash_nor_a_file_is_a_usage_error_before_anything_is_read(world: World) -> None:
    ran = world.run("apply", "-auto-approve", "-expect-hash", "latest")
    assert ran.code == 1 and "'latest' is neither" in ran.err and not world.asked


def test_whoever_holds_the_lease_has_a_name_also_where_the_environment_gives_none(world: World) -> None:
    user, node = pwd.getpwuid(os.getuid()).pw_name, os.uname().nodename
    for environment, name in (({}, user), ({"USER": "eve"}, "eve"), ({"USER": "root", "SUDO_USER": "eve"}, "eve")):
        world.environment = environment
        world.run("apply", "-auto-approve")
        assert world.asked["apply"][1].holder == f"{name}@{node}"
