"""What a plan is narrowed to by hosts: what is there, and what goes there."""

from tests.plan import builders
from tests.plan.builders import plan, service
from tests.plan.worlds import applied
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind

FLEET = builders.fleet(service("api", replicas=4), service("db"), hosts=2)


def _launched(made: Plan) -> dict[str, str]:
    return {step.subject.partition(".")[0]: step.host for step in made.steps if step.kind is StepKind.LAUNCH}


def test_what_does_not_exist_yet_is_chosen_by_the_host_it_goes_to() -> None:
    world = builders.empty(FLEET)
    whole = _launched(plan(FLEET, world))
    for host in ("hv1", "hv2"):
        here = {name: where for name, where in whole.items() if where == host}
        assert here
        assert _launched(plan(FLEET, world, target=f"host:{host}")) == here
        rest = {name: where for name, where in whole.items() if where != host}
        assert _launched(plan(FLEET, world, exclude=f"host:{host}")) == rest


def test_the_two_halves_make_the_whole() -> None:
    sim = applied(builders.fleet(service("db"), hosts=2))
    for host in ("hv1", "hv2"):
        sim.run(plan(FLEET, sim.world(), target=f"host:{host}"))
    assert not _launched(plan(FLEET, sim.world()))
    assert {live.host for n in range(4) for live in sim.lives(f"api-{n}")} == {"hv1", "hv2"}
