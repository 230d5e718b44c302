"""How many at once: shares as Kubernetes rounds them, floors, canaries."""

import pytest

from tests.plan.builders import HTTP, change, empty, fleet, plan, service
from tests.plan.worlds import applied
from unictl.fleet.model import Order, Update
from unictl.fleet.quantities import Share
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind


def _sizes(made: Plan) -> list[int]:
    return [len(wave.instances) for wave in made.waves]


def _rolled(replicas: int, **update: object) -> Plan:
    one = fleet(service("api", replicas=replicas, update=Update(**update)))  # type: ignore[arg-type]
    return plan(change(one, "api", args=("--new",)), applied(one).world())


@pytest.mark.parametrize(
    ("replicas", "update", "sizes"),
    [
        (5, {}, [1, 1, 1, 1, 1]),
        (5, {"max_parallel": Share(number=2)}, [2, 2, 1]),
        (5, {"max_parallel": Share(number=30, percent=True)}, [2, 2, 1]),
        (5, {"max_parallel": Share(number=0)}, [1, 1, 1, 1, 1]),
        (5, {"max_parallel": Share(number=9)}, [5]),
        (5, {"max_parallel": Share(number=4), "canary": Share(number=1)}, [1, 4]),
        (10, {"max_parallel": Share(number=50, percent=True), "canary": Share(number=10, percent=True)}, [1, 5, 4]),
        (5, {"max_parallel": Share(number=30, percent=True), "order": Order.STOP_FIRST}, [1, 1, 1, 1, 1]),
        (5, {"max_parallel": Share(number=40, percent=True), "order": Order.STOP_FIRST}, [2, 2, 1]),
        (5, {"max_parallel": Share(number=3), "order": Order.STOP_FIRST, "min_available": Share(number=4)}, [1] * 5),
        (5, {"max_parallel": Share(number=3), "canary": Share(number=1), "order": Order.STOP_FIRST}, [1, 3, 1]),
    ],
)
def test_waves_are_cut_as_the_service_says(replicas: int, update: dict[str, object], sizes: list[int]) -> None:
    made = _rolled(replicas, **update)
    assert made.can_apply
    assert _sizes(made) == sizes


def test_a_first_create_is_one_wave_whatever_the_update_says() -> None:
    one = fleet(service("api", replicas=4, update=Update(canary=Share(number=1))))
    assert _sizes(plan(one, empty(one))) == [4]


def test_a_wave_says_what_takes_it_back_and_in_one_line_for_people() -> None:
    first = _rolled(2, order=Order.STOP_FIRST).waves[0].rollback
    (row,) = first.relaunch
    keys = {row.old_key, row.new_key, row.key}
    assert first.remove == (row.new_key,)
    assert row.stops_first
    assert {key.partition(".")[0] for key in keys} == {"api-0"} and len(keys) == 3
    assert row.document["launch"] == 3
    line = f"wave 1 of api: api-0 goes back to what {row.old_key} is, launched anew once the new one has gone"
    assert first.summary == line


def test_what_comes_back_is_launched_as_it_was_and_names_its_own_generation_only() -> None:
    (row,) = _rolled(1).waves[0].rollback.relaunch
    document = row.document
    text = repr(document["run"])
    assert row.key in document["run"]["argv"]
    assert row.old_key.partition(".")[2] not in text
    assert document["generation"] in document["run"]["config"]
    assert "--new" not in text
    assert row.health_gate.key == row.key
    assert row.health_gate.probes[0]["port"] == document["run"]["forwards"][0]["host"]


def test_a_wave_that_is_not_to_go_back_says_so() -> None:
    undo = _rolled(1, auto_revert=False).waves[0].rollback
    assert not undo.reverts_after_later_failure
    assert "auto_revert is false" in undo.summary


def test_every_probe_is_asked_at_its_forward_for_as_long_as_the_longest_wants() -> None:
    one = fleet(service("api"))
    made = plan(one, empty(one))
    proof = next(step for step in made.steps if step.kind is StepKind.PROVE)
    forward = next(step for step in made.steps if step.kind is StepKind.LAUNCH).data.document["run"]["forwards"][0]
    (probe,) = proof.data.probes
    assert (probe["kind"], probe["path"], probe["port"], probe["bind"]) == (
        "http",
        "/healthz",
        forward["host"],
        "127.0.0.1",
    )
    assert proof.data.min_healthy_time == HTTP[0].min_healthy_time


def test_a_job_has_until_its_progress_deadline() -> None:
    one = fleet(service("migrate", kind="job", ports=(), health=(), update=Update(progress_deadline=99_000)))
    proof = next(step for step in plan(one, empty(one)).steps if step.kind is StepKind.PROVE)
    assert proof.data.job
    assert proof.data.healthy_deadline == 99_000


def test_what_is_free_at_the_tightest_moment_counts_one_wave_twice_and_no_more() -> None:
    made = _rolled(4, max_parallel=Share(number=1))
    held = [change.old.memory + change.old.overhead for change in made.changes if change.old]
    assert {host: row.total_memory - row.memory for host, row in made.headroom.items()} == {"hv1": sum(held) + held[0]}


def test_the_tightest_moment_of_a_partial_plan_counts_nothing_that_it_leaves_alone() -> None:
    one = fleet(service("api"), service("other"))
    two = change(change(one, "api", args=("--new",)), "other", args=("--new",))
    world = applied(one).world()
    whole, partial = plan(two, world), plan(two, world, target="api")
    size = next(each.old.memory + each.old.overhead for each in whole.changes if each.old)
    assert partial.headroom["hv1"].memory - whole.headroom["hv1"].memory == size


def test_who_was_to_stop_first_and_did_not_leave_every_ingress_is_behind_all_of_them_again() -> None:
    one = fleet(service("api", replicas=2, update=Update(order=Order.STOP_FIRST)), hosts=3)
    world = applied(one)
    keys = world.behind("hv1")
    made = plan(change(one, "api", args=("--new",)), world.world())
    assert not world.run(made, fails=lambda step: step.kind is StepKind.LEAVE and step.host == "hv2" and not step.undo)
    assert [world.behind(host) for host in ("hv1", "hv2", "hv3")] == [keys] * 3
    assert {live.key for said in world.hosts.values() for live in said.instances} == keys
