"""A service that loses its last health check: nothing on a host changes by it, and the plan says it all the same."""

from dataclasses import replace

from tests.plan.builders import HTTP, change, fleet, plan, service
from tests.plan.simulator import Simulator
from tests.plan.worlds import applied
from unictl.diagnostics.diagnostic import Severity
from unictl.fleet.model import Fleet, Probe
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind

CONSOLE = (Probe(kind="console", pattern="ready"),)


def _told(made: Plan) -> list[str]:
    return [each.summary for each in made.warnings if each.code == "check-removed"]


def _worker(**given: object) -> Fleet:
    """A service that no ingress asks: without the note on its host nothing would tell."""
    return fleet(service("worker", ports=(), health=CONSOLE, replicas=2, **given))


def _run(sim: Simulator, made: Plan) -> None:
    assert made.can_apply and sim.run(made)


def test_the_last_check_that_is_taken_away_is_told_though_no_guest_is_touched() -> None:
    one = _worker()
    made = plan(change(one, "worker", health=()), applied(one).world())
    assert len(_told(made)) == 1 and _told(made)[0].startswith("worker loses its last health check (console)")
    assert {each.severity for each in made.warnings} == {Severity.WARNING} and made.can_apply
    assert [(c.action, c.subject, c.reason.value) for c in made.changes if c.action is not Action.KEEP] == [
        (Action.ADJUST, f"marks:worker-{n}", "adjust_because_check_removed") for n in range(2)
    ]


def test_once_it_is_applied_nothing_more_is_said() -> None:
    one, sim = _worker(), applied(_worker())
    bare = change(one, "worker", health=())
    _run(sim, plan(bare, sim.world()))
    again = plan(bare, sim.world())
    assert not again.has_changes and not _told(again)


def test_it_is_told_as_well_where_the_same_commit_replaces_what_runs() -> None:
    one = _worker()
    made = plan(change(one, "worker", health=(), memory=128 << 20), applied(one).world())
    assert len(_told(made)) == 1
    assert not [step for step in made.steps if step.kind is StepKind.MARK]


def test_a_check_that_is_added_later_is_known_when_it_is_taken_away_again() -> None:
    bare = change(_worker(), "worker", health=())
    sim = applied(bare)
    checked = _worker()
    made = plan(checked, sim.world())
    assert {c.reason.value for c in made.changes if c.action is Action.ADJUST} == {"adjust_because_check_added"}
    assert not _told(made)
    _run(sim, made)
    assert len(_told(plan(bare, sim.world()))) == 1


def test_another_check_in_its_place_is_none_that_is_lost() -> None:
    one = fleet(service("api", health=HTTP))
    other = (Probe(kind="tcp", send="ping", expect="pong", port="http"),)
    made = plan(change(one, "api", health=other), applied(one).world())
    assert not _told(made) and not [step for step in made.steps if step.kind is StepKind.MARK]


def test_what_is_unknown_of_an_older_record_is_not_taken_for_a_loss() -> None:
    one, sim = _worker(), applied(_worker())
    for n in range(2):
        sim.put("hv1", sim.lives(f"worker-{n}")[0].key, checks=None)
    made = plan(change(one, "worker", health=()), sim.world())
    assert not made.has_changes and not made.warnings


def test_a_job_needs_no_check_and_a_fleet_that_goes_loses_none() -> None:
    one = _worker()
    sim = applied(one)
    assert not _told(plan(change(one, "worker", health=()), sim.world(), destroy=True))
    assert not _told(plan(change(one, "worker", health=(), kind="job"), sim.world()))


def test_a_plan_that_is_about_something_else_notes_nothing_of_it() -> None:
    one = fleet(service("api"), service("worker", ports=(), health=CONSOLE))
    sim = applied(one)
    bare = change(change(one, "worker", health=(), protect=True), "api", memory=128 << 20)
    made = plan(bare, sim.world(), target="api")
    assert not _told(made)
    assert {step.service for step in made.steps if step.service} == {"api"}
    assert _told(plan(replace(bare), sim.world(), target="worker"))


def test_services_that_lose_theirs_with_one_template_are_told_in_one_warning() -> None:
    one = fleet(*(service(f"s{n}", ports=(), health=CONSOLE) for n in range(9)))
    bare = replace(one, services={name: replace(each, health=()) for name, each in one.services.items()})
    (told,) = _told(plan(bare, applied(one).world()))
    assert told.startswith("s0, s1") and " lose their last health check (console)" in told
