"""What failed its gate is not tried again by itself, for as long as nobody has found it healthy."""

from dataclasses import replace

import pytest

from tests.plan import builders
from tests.plan.builders import plan, service
from tests.plan.simulator import Simulator
from tests.plan.worlds import applied
from unictl.fleet.model import Fleet
from unictl.instances.desired.instance import desired_instances
from unictl.instances.observed.survey_facts import GateResult
from unictl.plan.context import failed_rollouts
from unictl.plan.file import approval
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.plan.model.reason import Reason

FLEET = builders.fleet(service("api", replicas=3), service("db"), hosts=2)
NEW = builders.change(FLEET, "api", args=["--new"])


def _print(fleet: Fleet, name: str = "api-0") -> str:
    return next(each.fingerprint for each in desired_instances(fleet, builders.facts(fleet)) if each.name == name)


def _told(at: float, *, healthy: bool, service: str = "api") -> GateResult:
    return GateResult(service=service, fingerprint=_print(NEW), at=at, healthy=healthy)


def _gates(sim: Simulator, host: str, *rows: GateResult) -> None:
    sim.hosts[host] = replace(sim.hosts[host], gates=rows)


@pytest.fixture
def sim() -> Simulator:
    """Both services run as they were, and hv2 remembers that the new api failed."""
    made = applied(FLEET)
    _gates(made, "hv2", _told(2.0, healthy=False))
    return made


def _held(made: Plan) -> list[str]:
    return [change.subject for change in made.changes if change.reason == Reason.FAILED_BEFORE]


def test_what_failed_is_held_everywhere_and_nothing_is_touched(sim: Simulator) -> None:
    made = plan(NEW, sim.world())
    assert _held(made) == ["api-0", "api-1", "api-2"]
    assert not made.steps
    assert all("-retry" in change.detail for change in made.changes if change.action is Action.HELD)


def test_also_where_nothing_of_it_runs() -> None:
    alone = builders.fleet(NEW.services["api"], hosts=2)
    empty = builders.empty(alone, gates=(_told(2.0, healthy=False),))
    assert len(_held(plan(alone, empty))) == 3
    assert not any(step.service for step in plan(alone, empty).steps)


def test_other_changes_go_on(sim: Simulator) -> None:
    made = plan(builders.change(NEW, "db", args=["--new"]), sim.world())
    assert {step.service for step in made.steps if step.service} == {"db"}


def test_what_changed_since_is_tried(sim: Simulator) -> None:
    assert not _held(plan(builders.change(FLEET, "api", args=["--newer"]), sim.world()))


def test_the_same_of_another_service_is_another_matter(sim: Simulator) -> None:
    _gates(sim, "hv2", _told(2.0, healthy=False, service="web"))
    assert not _held(plan(NEW, sim.world()))


def test_retry_tries_it_and_the_plan_says_so(sim: Simulator) -> None:
    made = plan(NEW, sim.world(), retry=True)
    rows = [change for change in made.changes if change.service == "api"]
    assert {change.action for change in rows} == {Action.REPLACE}
    assert all("tried again, as asked for" in change.detail for change in rows)
    assert approval.approval_hash(made) != approval.approval_hash(plan(NEW, sim.world()))


def test_what_is_named_to_be_replaced_is_asked_for_too(sim: Simulator) -> None:
    made = plan(NEW, sim.world(), replace=("api-1",))
    assert _held(made) == ["api-0", "api-2"]


def test_the_latest_word_counts_whichever_host_has_it(sim: Simulator) -> None:
    _gates(sim, "hv1", _told(3.0, healthy=True))
    assert not _held(plan(NEW, sim.world()))
    _gates(sim, "hv2", _told(4.0, healthy=False))
    assert len(_held(plan(NEW, sim.world()))) == 3


def test_a_replica_that_passed_its_gate_speaks_for_the_rest(sim: Simulator) -> None:
    live = next(live for live in sim.hosts["hv1"].instances if live.service == "api")
    sim.put("hv1", live.key, fingerprint=_print(NEW))
    assert not _held(plan(NEW, sim.world()))
    sim.put("hv1", live.key, proven=False)
    assert _held(plan(NEW, sim.world())), "it runs, and never passed"


def test_what_was_proven_is_mended_whatever_was_said_of_another(sim: Simulator) -> None:
    sim.run(plan(NEW, sim.world(), retry=True))
    sim.crash(sim.lives("api-1")[0].key)
    sim.reboot("hv2")
    made = plan(NEW, sim.world())
    assert not _held(made)
    assert made.steps


def test_a_plan_that_forgets_tries_for_ever(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unictl.plan.context.context.failed_fingerprints", lambda _: {})
    assert plan(NEW, sim.world()).steps


def test_an_apply_is_told_what_it_may_take_back(sim: Simulator) -> None:
    assert plan(NEW, sim.world(), retry=True).facts.failed_before == {"api": (_print(NEW),)}
    assert failed_rollouts.failed_fingerprints(()) == {}
