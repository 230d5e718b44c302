"""What if: who stays healthy, who moves, what finds no place, what becomes of volumes."""

from dataclasses import replace

import pytest

from tests.plan.builders import GIB, change, endpoints, facts, fleet, host, published, service, silent, without
from tests.plan.builders import plan as planned
from tests.plan.worlds import applied
from unictl.fleet.model import MIB, Fleet, Placement, Volume
from unictl.instances.desired.instance import desired_instances
from unictl.instances.observed.host_state import LiveState, Survey
from unictl.plan.model.change import Action
from unictl.plan.whatif.assumed_world import converged_world, hosts_without_memory
from unictl.plan.whatif.whatif import Prediction, Scenario, ServiceForecast, predict
from unictl.views.text import layout, whatif


def shop(**given: object) -> Fleet:
    return fleet(
        service("db", volumes={"data": "orders"}),
        service("api", "--db=${service.db.http}", replicas=6, needs=("db",), publish=published(80)),
        hosts=3,
        **given,
    )


def asked(one: Fleet, world: LiveState | None = None, **question: object) -> Prediction:
    known = facts(one)
    there = world if world is not None else converged_world(one, desired_instances(one, known))[0]
    return predict(one, known, endpoints(one), there, Scenario(**question))  # type: ignore[arg-type]


def of(answer: Prediction, name: str) -> ServiceForecast:
    return next(each for each in answer.services if each.service == name)


def home(one: Fleet, name: str) -> str:
    return converged_world(one, desired_instances(one, facts(one)))[1].hosts[name]


def test_of_a_lost_host_the_rest_stays_healthy_and_the_rest_moves() -> None:
    one = shop()
    answer = asked(one, lost_hosts=("hv1",))
    assert (of(answer, "api").now, of(answer, "api").at_once, of(answer, "api").applied) == (6, 4, 6)
    assert {move.host for move in answer.moves} == {"hv1"} and len(answer.moves) == 2
    assert {move.to_host for move in answer.moves} == {"hv2", "hv3"}


def test_a_volume_that_is_lost_holds_its_user_and_says_so() -> None:
    one = shop()
    answer = asked(one, lost_hosts=(home(one, "db-0"),))
    assert of(answer, "db").held == ("db-0",) and of(answer, "db").applied == 0
    assert [(fate.volume, fate.what, fate.instance) for fate in answer.volumes] == [("orders", "held", "db-0")]
    assert of(answer, "api").lacks == ("db",)


def test_a_volume_whose_loss_is_accepted_begins_empty_elsewhere() -> None:
    one = shop(volumes={"orders": Volume(name="orders", size=GIB, accept_loss=True)})
    one = replace(one, volumes={"orders": Volume(name="orders", size=GIB, accept_loss=True)})
    answer = asked(one, lost_hosts=(home(one, "db-0"),))
    assert [fate.what for fate in answer.volumes] == ["begins-empty"]
    assert of(answer, "db").applied == 1 and "db-0" in {move.instance for move in answer.moves}


def test_a_volume_whose_service_is_gone_stays_unused() -> None:
    answer = asked(shop(), removed_services=("db",))
    assert [(fate.volume, fate.what) for fate in answer.volumes] == [("orders", "unused")]
    assert answer.destroyed == ("db-0",)


def test_what_does_not_fit_is_told_by_host_dimension_and_shortfall() -> None:
    machines = [host(f"hv{n}", memory=2 * GIB) for n in (1, 2)]
    one = fleet(service("api", replicas=4, memory=512 * MIB), hosts=machines)
    answer = asked(one, lost_hosts=("hv1",))
    assert answer.unplaced == ("api-2",)
    (short,) = answer.shortfalls[:1]
    assert (short.host, short.dimension) == ("hv1", "lost") or short.dimension == "memory"
    memory = next(each for each in answer.shortfalls if each.dimension == "memory")
    assert memory.host == "hv2" and memory.need > memory.free
    assert "memory" in answer.smallest_changes[answer.unplaced[0]]


def test_a_larger_number_of_replicas_creates_and_moves_nobody() -> None:
    answer = asked(shop(), replicas={"api": 9})
    assert answer.created == ("api-6", "api-7", "api-8") and answer.moves == ()
    assert of(answer, "api").applied == 9


def test_a_smaller_number_is_refused_by_the_budget_that_rules_a_plan() -> None:
    answer = asked(shop(), replicas={"api": 1})
    assert set(answer.destroyed) == {f"api-{n}" for n in range(1, 6)}
    assert [each.code for each in answer.refusals] == ["budget"]


def test_without_a_protected_service_an_apply_would_be_refused() -> None:
    one = change(shop(), "db", protect=True)
    answer = asked(one, removed_services=("db",))
    assert answer.destroyed == () and [each.code for each in answer.refusals] == ["protected"]


def test_questions_can_be_combined() -> None:
    answer = asked(shop(), lost_hosts=("hv2",), removed_services=("db",), replicas={"api": 8})
    assert of(answer, "db").wanted == 0 and of(answer, "api").applied == 8
    assert not {move.to_host for move in answer.moves} & {"hv2"}
    assert answer.scenario.description == "hv2 is lost, db is gone, api has 8 replicas"


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ({"lost_hosts": ("hv9",)}, "host 'hv9'"),
        ({"removed_services": ("dbb",)}, "mean db"),
        ({"replicas": {"apy": 2}}, "mean api"),
    ],
)
def test_a_name_that_is_none_is_told_with_what_was_meant(question: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        asked(shop(), **question)


def test_the_hosts_answer_as_the_assumed_world_does() -> None:
    one = shop()
    live, alone = asked(one, applied(one).world(), lost_hosts=("hv2",)), asked(one, lost_hosts=("hv2",))
    assert live.services == alone.services and live.hosts == alone.hosts


def test_the_answer_is_what_a_plan_would_do_once_the_host_is_marked_lost() -> None:
    one = shop()
    sim = applied(one)
    answer = asked(one, sim.world(), lost_hosts=("hv1",))
    lost = replace(one, hosts={**one.hosts, "hv1": replace(one.hosts["hv1"], lost=True)})
    made = planned(lost, {**silent(sim.world(), "hv1")})
    done = {c.subject: c.to_host for c in made.changes if c.action is Action.CREATE and c.service}
    assert {move.instance: move.to_host for move in answer.moves} == done


def test_an_instance_that_is_down_counts_as_nobody() -> None:
    one = shop()
    sim = applied(one)
    sim.crash(sim.lives("api-0")[0].key)
    assert of(asked(one, sim.world(), lost_hosts=()), "api").now == 5


def test_a_silent_host_is_told_and_counts_as_nobody() -> None:
    one = shop()
    sim = applied(one)
    answer = asked(one, silent(sim.world(), "hv3"), lost_hosts=("hv1",))
    assert set(answer.silent) == {"hv3"} and of(answer, "api").at_once == 2


def test_the_assumed_world_is_converged() -> None:
    one = shop()
    answer = asked(one)
    assert not answer.moves and not answer.created and not answer.destroyed and not answer.pending
    assert not any(each.is_affected for each in answer.services)


def test_an_assumed_host_has_what_it_declares_and_enough_of_what_it_does_not() -> None:
    one = fleet(service("api"), hosts=[host("hv1", memory=3 * GIB, cpus=2), host("hv2")])
    world, _ = converged_world(one, desired_instances(one, facts(one)))
    first = world["hv1"]
    assert isinstance(first, Survey) and (first.memory, first.cpus) == (3 * GIB, 2)
    assert hosts_without_memory(one) == ("hv2",)


def test_published_ports_of_a_lost_ingress_are_told() -> None:
    hosts = [host("hv1"), host("hv2", ingress=False)]
    one = fleet(service("api", replicas=2, publish=published(80)), hosts=hosts)
    text = layout.join_lines(whatif.render(asked(one, lost_hosts=("hv1",)), "Assumed."))
    assert "Nothing would be published any more: hv1 had the only ingress." in text


def test_the_text_keeps_to_80_columns_and_ends_in_a_summary() -> None:
    one = shop()
    many = replace(one, services={**one.services, **{f"s{n}": service(f"s{n}", replicas=20) for n in range(40)}})
    for question in ({"lost_hosts": ("hv1", "hv2")}, {"removed_services": ("db",), "replicas": {"api": 30}}):
        text = layout.join_lines(whatif.render(asked(many, **question), "By the fleet file alone."))
        assert max(map(len, text.splitlines())) <= 80
        assert text.splitlines()[-1].startswith("At that moment ")
    assert len(layout.join_lines(whatif.render(asked(many, lost_hosts=("hv1",)), "")).splitlines()) < 90


def test_services_that_stay_as_they_are_are_counted() -> None:
    one = fleet(*(service(f"s{n}") for n in range(5)), hosts=5)
    text = layout.join_lines(whatif.render(asked(one, removed_services=("s3",)), ""))
    assert "4 services stay as they are." in text


def test_the_document_says_the_shortfall_as_a_number() -> None:
    one = fleet(
        service("api", replicas=2, memory=512 * MIB, placement=Placement(hosts="hv1")),
        hosts=[host("hv1", memory=2 * GIB), host("hv2")],
    )
    document = whatif.to_document(asked(one, replicas={"api": 9}), "basis", "1.0")
    short = next(each for each in document["shortfalls"] if each["dimension"] == "memory")
    assert short["short"] == short["need"] - short["free"] > 0
    assert document["without_a_host"] and document["type"] == "whatif"


def test_a_service_that_left_the_file_does_not_count_as_a_service() -> None:
    one = shop()
    sim = applied(one)
    answer = asked(change(without(one, "db"), "api", args=(), needs=()), sim.world())
    assert {each.service for each in answer.services} == {"api"} and answer.destroyed == ("db-0",)
