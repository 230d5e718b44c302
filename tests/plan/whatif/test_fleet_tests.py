"""The fleet's own tests: each expectation holds where it should, and says where and why it does not."""

from dataclasses import replace
from typing import Any

import pytest

from tests.plan.builders import GIB, change, facts, fleet, host, service
from unictl.diagnostics.finding import Finding
from unictl.fleet.model import MIB, Fleet, FleetTest, HostLoss, Placement, Policy, Volume
from unictl.fleet.quantities import Share
from unictl.plan.whatif.fleet_tests import run_fleet_tests

ONE = Share(number=1)


def failures(one: Fleet, **test: Any) -> tuple[Finding, ...]:
    expecting = replace(one, tests={"it": FleetTest(name="it", **test)})
    (judged,) = run_fleet_tests(expecting, facts(expecting))
    return judged.failures


def zoned(*services: Any) -> Fleet:
    return fleet(*services, hosts=[host(f"hv{n}", zone="ab"[n % 2]) for n in range(1, 5)])


def test_losing_any_host_leaves_one_of_each_where_replicas_are_spread() -> None:
    assert failures(zoned(service("api", replicas=2)), lose=HostLoss(any="host"), healthy={"*": ONE}) == ()


def test_a_single_replica_fails_it_and_the_host_is_named() -> None:
    (found,) = failures(zoned(service("api", replicas=2), service("db")), lose=HostLoss(any="host"), healthy={"*": ONE})
    assert found.path == ("tests", "it", "healthy", "*")
    assert found.summary.startswith("db has 0 of 1 healthy when hv") and "another replica" in found.hint


def test_losing_a_zone_needs_a_spread_over_zones() -> None:
    one = zoned(service("api", replicas=2, placement=Placement(spread="zone")))
    pinned = zoned(service("api", replicas=2, placement=Placement(hosts="hv1,hv3")))
    assert failures(one, lose=HostLoss(any="zone"), healthy={"api": ONE}) == ()
    (found,) = failures(pinned, lose=HostLoss(any="zone"), healthy={"api": ONE})
    assert "when zone b is lost" in found.summary and "spread: zone" in found.hint


def test_two_hosts_lost_at_once_are_tried_in_every_way() -> None:
    (found,) = failures(zoned(service("api", replicas=2)), lose=HostLoss(any="host", count=2), healthy={"*": ONE})
    assert " and " in found.summary and " are lost" in found.summary


def test_a_percentage_is_of_the_replicas_and_rounded_up() -> None:
    one = fleet(service("api", replicas=3), hosts=3)
    assert failures(one, lose=HostLoss(any="host"), healthy={"api": Share(number=60, percent=True)}) == ()
    assert failures(one, lose=HostLoss(any="host"), healthy={"api": Share(number=70, percent=True)})


def test_a_selector_leaves_services_out() -> None:
    one = fleet(service("api", replicas=2), service("db"), hosts=2)
    assert failures(one, lose=HostLoss(any="host"), healthy={"*,!db": ONE}) == ()


def test_a_job_is_no_service_to_be_healthy_and_no_replicas_are_none() -> None:
    one = fleet(service("migrate", kind="job", ports=(), health=()), service("off", replicas=0), hosts=2)
    assert failures(one, lose=HostLoss(any="host"), healthy={"*": ONE}) == ()


def test_everything_finds_a_place_again_or_the_shortfall_is_told() -> None:
    machines = [host(f"hv{n}", memory=2 * GIB) for n in (1, 2)]
    tight = fleet(service("api", replicas=4, memory=512 * MIB), hosts=machines)
    loose = fleet(service("api", replicas=4, memory=128 * MIB), hosts=machines)
    assert failures(loose, lose=HostLoss(any="host"), fits=True) == ()
    (found,) = failures(tight, lose=HostLoss(any="host"), fits=True)
    assert found.path == ("tests", "it", "fits") and "find" in found.summary and "the same holds of hv2" in found.detail


def test_a_fleet_that_does_not_fit_as_it_is_fails_too() -> None:
    one = fleet(service("api", memory=512 * MIB), hosts=[host("hv1", memory=2 * GIB)])
    assert failures(one, fits=True) == ()
    assert failures(one, scale={"api": 9}, fits=True)


def test_services_that_happen_to_be_apart_are_not_kept_apart() -> None:
    one = fleet(service("db"), service("cache"), hosts=2)
    (found,) = failures(one, apart=("db", "cache"))
    assert "share" in found.summary and "apart_from" in found.hint and found.path == ("tests", "it", "apart", 1)


def test_services_that_are_declared_apart_stay_so_whatever_is_lost() -> None:
    one = fleet(service("db"), service("cache", placement=Placement(apart_from=("db",))), hosts=2)
    assert failures(one, apart=("db", "cache")) == ()


def test_nothing_destroys_what_is_protected() -> None:
    one = fleet(service("db", protect=True, volumes={"data": "orders"}), service("api"), hosts=2)
    assert failures(one, no_plan_destroys=("db",)) == ()


@pytest.mark.parametrize(
    ("replicas", "what"), [(1, "taken out of the fleet file"), (5, "scaled to 4"), (6, "scaled to 5")]
)
def test_what_nothing_bars_may_be_destroyed(replicas: int, what: str) -> None:
    one = fleet(service("db", replicas=replicas), service("api", replicas=2), hosts=2)
    (found,) = failures(one, no_plan_destroys=("db",))
    assert what in found.summary and found.hint == "give db `protect: true`"
    assert found.path == ("tests", "it", "no_plan_destroys", 0)


def test_a_policy_that_lets_nothing_be_destroyed_bars_edits_but_not_the_end_of_the_fleet() -> None:
    one = replace(fleet(service("db"), hosts=2), policy=Policy(max_destroy=Share(number=0)))
    (found,) = failures(one, no_plan_destroys=("db",))
    assert "the whole fleet is destroyed" in found.summary


def test_a_volume_that_may_begin_empty_is_data_that_a_plan_gives_up() -> None:
    one = fleet(service("db", protect=True, volumes={"data": "orders"}), hosts=2)
    given = {"orders": Volume(name="orders", size=GIB, accept_loss=True)}
    (found,) = failures(replace(one, volumes=given), no_plan_destroys=("db",))
    assert found.code == "may-begin-empty"


def test_hosts_that_are_declared_lost_are_not_lost_once_more() -> None:
    one = fleet(service("api", replicas=2), hosts=[host("hv1"), host("hv2"), host("hv3", lost=True)])
    assert failures(one, lose=HostLoss(any="host"), healthy={"*": ONE}) == ()


def test_the_services_of_a_question_are_those_of_the_test() -> None:
    one = fleet(service("api", replicas=1), hosts=3)
    assert failures(one, lose=HostLoss(any="host"), healthy={"api": ONE})
    assert failures(one, scale={"api": 2}, lose=HostLoss(any="host"), healthy={"api": ONE}) == ()


def test_a_fleet_with_a_guest_and_a_network_that_cannot_run_yet_is_judged() -> None:
    from unictl.fleet.model import Network

    one = change(fleet(service("api", replicas=2), hosts=2), "api", hypervisor="solo5-hvt", network=("back",))
    one = replace(one, networks={"back": Network(name="back", mode="vxlan", subnet="10.30.0.0/24", endpoints="")})
    assert failures(one, lose=HostLoss(any="host"), healthy={"*": ONE}, fits=True) == ()
