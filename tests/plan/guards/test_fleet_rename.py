"""A fleet under a new name: an adjust of each host that has it, and a refusal wherever that may be somebody else's."""

from dataclasses import replace

from tests.plan.builders import change, empty, fleet, plan, published, service
from tests.plan.simulator import Simulator
from tests.plan.worlds import applied
from unictl.fleet.model import Fleet
from unictl.instances.observed.host_state import FleetNaming, LiveState
from unictl.plan.file import planfile
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind

SHOP = fleet(service("api", replicas=2, publish=published(8080)), service("worker", ports=(), health=()), hosts=2)
DEPOT = replace(SHOP, name="depot", was="shop")


def _world(sim: Simulator, **naming: FleetNaming) -> LiveState:
    """What hosts say: those that are not named have the fleet under its former name."""
    return {
        host: replace(said, naming=naming.get(host, FleetNaming(owner=SHOP.owner))) for host, said in sim.hosts.items()
    }


def _codes(made: Plan) -> set[str]:
    return {each.code for each in made.refusals}


def test_a_new_name_is_an_adjust_of_every_host_and_touches_no_guest() -> None:
    made = plan(DEPOT, _world(applied(SHOP)))
    assert made.can_apply and made.was == SHOP.owner
    rows = [each for each in made.changes if each.subject == "fleet"]
    assert [(each.host, each.reason.value) for each in rows] == [
        (host, "adjust_because_fleet_renamed") for host in SHOP.hosts
    ]
    assert not {each.kind for each in made.steps} & {StepKind.LAUNCH, StepKind.RETIRE, StepKind.LEAVE, StepKind.MARK}
    assert {each.detail for each in made.changes if each.subject == "ingress"} == {
        "only the name of the fleet in it differs"
    }
    renamed = [step.data.fleet for step in made.steps if step.kind is StepKind.REMEMBER]
    assert renamed == [{"mark": "depot", "id": SHOP.id}] * 2


def test_it_is_called_so_last_of_all_on_each_host() -> None:
    made = plan(change(DEPOT, "api", args=("--new",)), _world(applied(SHOP)))
    order = [step for step in made.steps if step.kind is not StepKind.BARRIER]
    for host in SHOP.hosts:
        here = [step.kind for step in order if step.host == host]
        assert here[-1] is StepKind.REMEMBER and here.count(StepKind.REMEMBER) == 1


def test_hosts_that_have_the_new_name_already_are_left_alone() -> None:
    sim, named = applied(SHOP), FleetNaming(owner=DEPOT.owner)
    made = plan(DEPOT, _world(sim, hv1=named))
    assert [each.host for each in made.changes if each.subject == "fleet"] == ["hv2"]
    done = plan(DEPOT, _world(sim, hv1=named, hv2=named))
    assert not [each for each in done.changes if each.subject == "fleet"]


def test_a_plan_that_is_about_a_part_renames_nothing() -> None:
    made = plan(change(DEPOT, "api", args=("--new",)), _world(applied(SHOP)), target="api")
    assert made.can_apply and not [step for step in made.steps if step.kind is StepKind.REMEMBER]


def test_what_the_fleet_is_called_in_its_own_arguments_is_replaced_in_the_usual_way() -> None:
    told = change(SHOP, "worker", args=("--fleet=${fleet.name}",))
    made = plan(replace(told, name="depot", was="shop"), _world(applied(told)))
    assert {(each.subject, each.reason) for each in made.changes if each.action is Action.REPLACE} == {
        ("worker-0", "replace_because_args")
    }


def test_both_names_on_one_host_are_refused_with_what_each_has() -> None:
    both = FleetNaming(owner=DEPOT.owner, both=("web-0.0123abcd", "volume orders"))
    made = plan(DEPOT, _world(applied(SHOP), hv1=both))
    (told,) = [each for each in made.refusals if each.code == "both-names" and "hv1 has" in each.summary]
    assert "volume orders and web-0.0123abcd of shop" in told.summary and "name: shop" in told.hint


def test_one_instance_under_both_names_on_two_hosts_is_refused() -> None:
    sim = applied(SHOP)
    there = next(host for host, said in sim.hosts.items() if any(i.name == "api-0" for i in said.instances))
    other = next(host for host in sim.hosts if host != there)
    twin = replace(sim.lives("api-0")[0], host=other)
    sim.hosts[other] = replace(sim.hosts[other], instances=(*sim.hosts[other].instances, twin))
    assert "both-names" in _codes(plan(DEPOT, _world(sim, **{other: FleetNaming(owner=DEPOT.owner)})))
    assert "both-names" not in _codes(plan(DEPOT, _world(sim)))


def test_the_same_id_under_another_name_is_refused_before_all_is_there_twice() -> None:
    bare = replace(DEPOT, was="")
    kin = {host: replace(said, naming=FleetNaming(kin=("shop",))) for host, said in empty(bare).items()}
    (told, _) = [each for each in plan(bare, kin).refusals if each.code == "renamed-fleet"]
    assert "under the name shop" in told.summary and "`was: shop`" in told.hint


def test_another_fleet_of_the_former_name_is_refused_only_while_there_is_nothing_of_this_one() -> None:
    stranger = FleetNaming(former=("shop-0ddba11",))
    none = {host: replace(said, naming=stranger) for host, said in empty(DEPOT).items()}
    assert _codes(plan(DEPOT, none)) == {"another-fleet"}
    some = _world(applied(SHOP), hv1=FleetNaming(owner=DEPOT.owner), hv2=stranger)
    assert "another-fleet" not in _codes(plan(DEPOT, some))


def test_a_new_fleet_with_a_former_name_that_nobody_has_begins_anew() -> None:
    made = plan(DEPOT, empty(DEPOT))
    assert made.can_apply and made.counts.add == 3
    assert planfile.load(planfile.dump(made)) == made


def test_the_former_owner_has_the_environment_and_the_id() -> None:
    assert replace(DEPOT, environment="staging").former_owner == "shop@staging-5f0c2a"
    assert Fleet(name="depot", was="shop").former_owner == "shop" and SHOP.former_owner == ""
