"""Where instances go, sentence by sentence."""

from dataclasses import replace
from typing import Any

import pytest

from tests.instances.samples import FACTS, GIB, HTTP, fleet, hello, live, running, service, survey, world
from unictl.fleet.model import MIB, Fleet, Host, Order, Placement, Publication, Service, Update, Volume
from unictl.fleet.quantities import Share
from unictl.instances.desired.instance import DesiredInstance, desired_instances
from unictl.instances.observed.host_state import Claim, LiveState, LiveVolume, UnreachableHost
from unictl.instances.placement.place import Placement as Placed
from unictl.instances.placement.place import place

ZONES = tuple(
    Host(name=f"hv{n}", address=f"10.9.0.{n}", zone="abc"[n % 3], labels={"rack": f"r{n % 2}"}) for n in range(6)
)
SILENT = UnreachableHost(host="hv2", reason="timed out")


def wished(declared: Fleet) -> tuple[DesiredInstance, ...]:
    return desired_instances(declared, FACTS)


def placed(declared: Fleet, said: LiveState | None = None, **given: Any) -> Placed:
    return place(declared, wished(declared), world(declared) if said is None else said, **given)


def on(declared: Fleet, *hosts: str, **given: Any) -> dict[str, Any]:
    """The world in which the desired instances run on these hosts, in order."""
    pairs = zip(wished(declared), hosts, strict=False)
    return running(world(declared), *(live(each, host, **given) for each, host in pairs))


def counts(found: Placed) -> list[int]:
    hosts = list(found.hosts.values())
    return sorted(hosts.count(host) for host in set(hosts))


def holding(*names: str, **given: Any) -> dict[str, Any]:
    return {"volumes": tuple(LiveVolume(name=name, size=MIB) for name in names), **given}


def tight(memory: int, **given: Any) -> Any:
    """A host that keeps nothing back, with this much memory."""
    return Host(name="hv1", address="10.9.0.1", memory=memory, reserve=0, **given)


def test_the_hello_fleet_stands_on_its_one_host() -> None:
    found = placed(hello())
    assert set(found.hosts.values()) == {"here"} and len(found.hosts) == 4
    assert found.shortfalls == () and found.unplaced == ()


def test_replicas_spread_over_hosts() -> None:
    assert counts(placed(fleet(service(replicas=6), hosts=("hv1", "hv2", "hv3")))) == [2, 2, 2]


def test_services_of_one_replica_do_not_pile_up_on_the_first_host() -> None:
    services = (service(name) for name in ("a", "b", "c", "d"))
    assert counts(placed(fleet(*services, hosts=("hv1", "hv2")))) == [2, 2]


def test_what_one_spread_has_taken_counts_for_another() -> None:
    zone = Placement(spread="zone")
    large, small = service("a", memory=1024 * MIB), service("d", memory=64 * MIB)
    others = (service("b", memory=700 * MIB, placement=zone), service("c", memory=650 * MIB, placement=zone))
    found = placed(fleet(large, *others, small, hosts=("hv1", "hv2")))
    assert found.hosts == {"a-0": "hv1", "b-0": "hv2", "c-0": "hv2", "d-0": "hv1"}


@pytest.mark.parametrize(("by", "of"), [("zone", 3), ("rack", 2)])
def test_replicas_spread_over_zones_and_labels(by: str, of: int) -> None:
    declared = fleet(service(replicas=6, placement=Placement(spread=by)), hosts=ZONES)
    values = [
        dict(zone=declared.hosts[host].zone, **declared.hosts[host].labels)[by]
        for host in placed(declared).hosts.values()
    ]
    assert sorted(values.count(value) for value in set(values)) == [6 // of] * of


def test_a_new_replica_goes_to_the_zone_that_has_the_fewest() -> None:
    declared = fleet(service(replicas=3, placement=Placement(spread="zone")), hosts=ZONES)
    found = placed(declared, on(declared, "hv0", "hv3"))
    assert found.hosts["api-0"] == "hv0" and found.hosts["api-1"] == "hv3"
    assert declared.hosts[found.hosts["api-2"]].zone != "a"


def test_a_selector_and_required_labels_hold() -> None:
    chosen = fleet(service(replicas=4, placement=Placement(hosts="hv1,hv3")), hosts=ZONES)
    assert set(placed(chosen).hosts.values()) == {"hv1", "hv3"}
    required = fleet(service(replicas=4, placement=Placement(require={"rack": "r1", "zone": "b"})), hosts=ZONES)
    assert set(placed(required).hosts.values()) == {"hv1"}


def test_what_lives_stays_however_uneven_it_is() -> None:
    declared = fleet(service(replicas=3), hosts=("hv1", "hv2"))
    assert set(placed(declared, on(declared, "hv1", "hv1", "hv1")).hosts.values()) == {"hv1"}


def test_what_is_replaced_stays_where_it_is() -> None:
    declared = fleet(service(replicas=2), hosts=("hv1", "hv2"))
    said = on(declared, "hv2", "hv2", fingerprint="1:old")
    assert set(placed(declared, said).hosts.values()) == {"hv2"}


@pytest.mark.parametrize("change", [{"drain": True}, {"lost": True}, {"hypervisors": ("xen",)}])
def test_it_leaves_a_host_that_is_drained_or_lost_or_bars_its_hypervisor(change: dict[str, Any]) -> None:
    declared = fleet(service(), hosts=(Host(name="hv1", address="10.9.0.1", **change), "hv2"))
    assert placed(declared, on(declared, "hv1")).hosts == {"api-0": "hv2"}


@pytest.mark.parametrize("limit", [{"hosts": "hv2"}, {"require": {"rack": "r0"}}])
def test_it_leaves_a_host_that_is_no_longer_selected(limit: dict[str, Any]) -> None:
    declared = fleet(service(placement=Placement(**limit)), hosts=ZONES[1:3])
    assert placed(declared, on(declared, "hv1")).hosts == {"api-0": "hv2"}


def test_services_apart_never_meet_whichever_of_them_says_so() -> None:
    for apart in (("db",), ("api",)):
        name = "api" if apart == ("db",) else "db"
        services = {"api": service("api", replicas=2), "db": service("db")}
        services[name] = replace(services[name], placement=Placement(apart_from=apart))
        found = placed(fleet(*services.values(), hosts=("hv1", "hv2")))
        assert found.hosts["db-0"] not in (found.hosts["api-0"], found.hosts["api-1"])


def test_a_service_apart_from_itself_has_one_on_a_host() -> None:
    declared = fleet(service(replicas=3, placement=Placement(apart_from=("api",))), hosts=("hv1", "hv2"))
    found = placed(declared)
    assert counts(found) == [1, 1] and found.unplaced == ("api-2",)
    assert {(r.instance, r.host, r.dimension) for r in found.shortfalls} == {
        ("api-2", "hv1", "apart_from"),
        ("api-2", "hv2", "apart_from"),
    }


def test_of_two_that_meet_and_must_not_any_more_one_moves() -> None:
    declared = fleet(service("api"), service("db", placement=Placement(apart_from=("api",))), hosts=("hv1", "hv2"))
    assert placed(declared, on(declared, "hv1", "hv1")).hosts == {"api-0": "hv1", "db-0": "hv2"}


def with_volume(*hosts: Any, **volume: Any) -> Fleet:
    declared = {"data": Volume(name="data", size=10 * GIB, **volume)}
    return fleet(service("db", volumes={"disk": "data"}), hosts=hosts or ("hv1", "hv2"), volumes=declared)


def test_an_instance_goes_where_its_volume_is() -> None:
    declared = with_volume()
    said = world(declared, hv2=survey("hv2", **holding("data")))
    assert placed(declared, said).hosts == {"db-0": "hv2"}


def test_a_new_volume_goes_where_it_is_pinned() -> None:
    assert placed(with_volume(host="hv2")).hosts == {"db-0": "hv2"}


def test_a_new_volume_needs_room_on_the_disk() -> None:
    declared = with_volume()
    said = world(declared, hv1=survey("hv1", disk_free=GIB), hv2=survey("hv2", disk_free=11 * GIB))
    assert placed(declared, said).hosts == {"db-0": "hv2"}
    full = world(declared, hv1=survey("hv1", disk_free=GIB), hv2=survey("hv2", disk_free=2 * GIB))
    assert [(r.dimension, r.need, r.free) for r in placed(declared, full).shortfalls] == [
        ("disk", 10 * GIB, GIB),
        ("disk", 10 * GIB, 2 * GIB),
    ]


def test_an_instance_with_a_volume_is_held_on_a_drained_host() -> None:
    declared = with_volume(Host(name="hv1", address="10.9.0.1", drain=True), "hv2")
    said = running(world(declared, hv1=survey("hv1", **holding("data"))), live(wished(declared)[0], "hv1"))
    found = placed(declared, said)
    assert found.hosts == {"db-0": "hv1"}
    assert found.held_reasons == {
        "db-0": "hv1 is being drained, but volume data is there, and volumes never move by themselves"
    }


def test_an_instance_does_not_begin_on_a_drained_host_and_not_without_its_volume() -> None:
    declared = with_volume(Host(name="hv1", address="10.9.0.1", drain=True), "hv2")
    found = placed(declared, world(declared, hv1=survey("hv1", **holding("data"))))
    assert found.hosts == {} and found.unplaced == ("db-0",)
    assert [r.finding.summary for r in found.shortfalls] == [
        "hv1 is being drained, where volume data is, and volumes never move by themselves"
    ]


def test_a_volume_begins_anew_elsewhere_only_where_it_is_pinned_and_its_loss_accepted() -> None:
    said = {"hv1": survey("hv1", **holding("data")), "hv2": survey("hv2")}
    assert placed(with_volume(host="hv2"), said).hosts == {"db-0": "hv1"}
    assert placed(with_volume(host="hv2", accept_loss=True), said).hosts == {"db-0": "hv2"}


def test_volumes_on_two_hosts_cannot_meet() -> None:
    volumes = {name: Volume(name=name, size=MIB) for name in ("data", "log")}
    declared = fleet(service("db", volumes={"a": "data", "b": "log"}), hosts=("hv1", "hv2"), volumes=volumes)
    said = world(declared, hv1=survey("hv1", **holding("data")), hv2=survey("hv2", **holding("log")))
    assert [r.finding.summary for r in placed(declared, said).shortfalls] == [
        "db-0: its volumes are on hv1 and on hv2, and one host must have all"
    ]


def test_what_a_silent_host_may_have_is_neither_placed_nor_refused() -> None:
    declared = fleet(service(replicas=2), hosts=("hv1", "hv2"))
    said = {**on(declared, "hv1"), "hv2": SILENT}
    found = placed(declared, said)
    assert found.hosts == {"api-0": "hv1"} and found.unknown == ("api-1",) and found.unplaced == ()


def test_a_lost_host_is_not_waited_for() -> None:
    declared = fleet(service(replicas=2), hosts=("hv1", Host(name="hv2", lost=True)))
    found = placed(declared, {**world(declared), "hv2": SILENT})
    assert set(found.hosts.values()) == {"hv1"} and len(found.hosts) == 2


def test_a_volume_that_a_silent_host_may_have_is_not_made_again() -> None:
    declared = with_volume()
    said = {**on(declared, "hv1", volumes=()), "hv2": SILENT}
    assert placed(declared, said).unknown == ("db-0",)


def test_a_renamed_service_stays_where_it_was() -> None:
    before = fleet(service("old", replicas=2), hosts=("hv1", "hv2"))
    said = on(before, "hv2", "hv2")
    after = fleet(service("new", replicas=2, was="old"), hosts=("hv1", "hv2"))
    assert set(placed(after, said).hosts.values()) == {"hv2"}


def test_of_two_generations_it_stays_with_the_wished_one() -> None:
    declared = fleet(service(), hosts=("hv1", "hv2"))
    one = wished(declared)[0]
    said = running(world(declared), live(one, "hv1", fingerprint="1:old", launch=7), live(one, "hv2", launch=2))
    assert placed(declared, said).hosts == {"api-0": "hv2"}


def test_memory_is_kept_back_and_counts_for_everybody() -> None:
    declared = fleet(service(memory=1 * GIB, replicas=9), hosts=("hv1",))
    # 8 GiB, a tenth kept back, 2 GiB held by others: 5.2 GiB for instances of 1 GiB and overhead.
    said = {"hv1": survey("hv1", claims=(Claim(kind="memory", owner="other", holder="x-0.1", amount=2 * GIB),))}
    assert len(placed(declared, said).hosts) == 5


def test_a_refusal_names_host_dimension_and_shortfall_and_the_nearest_way_out() -> None:
    declared = fleet(service(memory=64 * MIB, replicas=4), hosts=(tight(300 * MIB),))
    found = placed(declared)
    assert found.unplaced == ("api-3",)
    assert [(r.instance, r.host, r.dimension, r.need, r.free) for r in found.shortfalls] == [
        ("api-3", "hv1", "memory", 96 * MIB, 12 * MIB)
    ]
    assert found.shortfalls[0].finding.summary == (
        "hv1 has 12MiB of memory free, api-3 needs 96MiB (64MiB and 32MiB for its hypervisor)"
    )
    assert found.smallest_changes == {"api-3": "3 of 4 replicas fit; the nearest for api-3 is hv1: 84MiB more memory"}


def test_the_nearest_way_out_may_be_less_memory() -> None:
    found = placed(fleet(service(memory=300 * MIB), hosts=(tight(300 * MIB),)))
    assert found.smallest_changes == {
        "api-0": "the nearest for api-0 is hv1: 32MiB more memory there, or memory: 268MiB for api"
    }


def test_many_that_find_no_host_are_explained_once() -> None:
    found = placed(fleet(service(memory=GIB, replicas=50), hosts=("hv1", "hv2")))
    assert len(found.unplaced) == 50 - len(found.hosts) and len(found.shortfalls) == 2


def test_no_host_at_all_is_said_in_words() -> None:
    declared = fleet(service(placement=Placement(hosts="gpu*")), hosts=("hv1",))
    assert [r.finding.summary for r in placed(declared).shortfalls] == ["api-0: placement.hosts 'gpu*' selects no host"]


def test_every_barred_host_is_named_with_its_reason() -> None:
    hosts = (
        Host(name="hv1", address="10.9.0.1", drain=True),
        Host(name="hv2", address="10.9.0.2", lost=True),
        "hv3",
        Host(name="hv4", address="10.9.0.4", hypervisors=("xen",)),
    )
    declared = fleet(service(), hosts=hosts)
    said = world(declared, hv3=survey("hv3", hypervisors={}))
    assert [r.finding.summary for r in placed(declared, said).shortfalls] == [
        "hv1 is being drained",
        "hv2 is declared lost",
        "hv3 has no qemu",
        "hv4 allows no qemu (hosts.hv4.hypervisors)",
    ]


def test_cpus_are_promised_up_to_the_services_ratio() -> None:
    declared = fleet(service(cpus=2, replicas=20, placement=Placement(cpu_ratio=1.5)), hosts=("hv1",))
    assert len(placed(declared).hosts) == 3


def replaced(api: Service, room: int, **old: Any) -> Placed:
    """Three old instances on a host of that much memory, all to be replaced."""
    declared = fleet(replace(api, replicas=3), hosts=(tight(room),))
    return placed(declared, on(declared, "hv1", "hv1", "hv1", fingerprint="1:old", **old))


def test_a_replacement_needs_room_for_one_wave_beside_the_old_ones() -> None:
    assert len(replaced(service(), 4 * 96 * MIB).hosts) == 3
    assert replaced(service(), 4 * 96 * MIB - 1).hosts == {}
    two = service(update=Update(max_parallel=Share(number=2)))
    assert len(replaced(two, 5 * 96 * MIB).hosts) == 3
    assert len(replaced(two, 5 * 96 * MIB - 1).hosts) == 1


def test_a_replacement_needs_cpus_for_one_wave_too() -> None:
    api = service(cpus=2, placement=Placement(cpu_ratio=1.0), replicas=3)
    for cores, fits in ((8, 3), (7, 0)):
        declared = fleet(api, hosts=(Host(name="hv1", address="10.9.0.1", cpus=cores),))
        assert len(placed(declared, on(declared, "hv1", "hv1", "hv1", fingerprint="1:old")).hosts) == fits


def test_what_is_stopped_first_needs_no_room_beside_itself() -> None:
    stops = service(update=Update(order=Order.STOP_FIRST))
    assert len(replaced(stops, 3 * 96 * MIB).hosts) == 3


def test_growth_counts_for_all_and_doubling_for_a_wave() -> None:
    # The old took 64 MiB, the new take 96: three grown, and one old beside its new one.
    need = 3 * 96 * MIB + 64 * MIB
    assert len(replaced(service(), need, memory=32 * MIB).hosts) == 3
    assert len(replaced(service(), need - 1, memory=32 * MIB).hosts) < 3


def test_what_has_no_room_beside_its_old_self_moves() -> None:
    declared = fleet(service(), hosts=(tight(96 * MIB), "hv2"))
    assert placed(declared, on(declared, "hv1", fingerprint="1:old")).hosts == {"api-0": "hv2"}


def test_a_forced_replacement_needs_room_too() -> None:
    declared = fleet(service(), hosts=(tight(96 * MIB), "hv2"))
    assert placed(declared, on(declared, "hv1")).hosts == {"api-0": "hv1"}
    assert placed(declared, on(declared, "hv1"), replacing=("api-0",)).hosts == {"api-0": "hv2"}


def test_ports_of_the_ingress_that_others_hold_are_refused() -> None:
    declared = fleet(service(ports=HTTP, publish=(Publication(port=8080, to="http"),)), hosts=("hv1", "hv2"))
    claims = (
        Claim(kind="port", owner="", holder="", port=8080, bind="10.9.0.1"),
        Claim(kind="port", owner="blog-1", holder="x-0.1", port=20000, bind="127.0.0.1"),
        Claim(kind="port", owner="", holder="", port=20000, bind="10.9.0.1"),
    )
    said = world(declared, hv1=survey("hv1", claims=claims))
    found = placed(declared, said, endpoints={"api.http": 20000})
    assert [r.finding.summary for r in found.shortfalls] == [
        "services.api.publish needs port 8080 of hv1, which another program holds",
        "the endpoint api.http needs port 20000 of hv1, which x-0.1 of fleet blog-1 holds",
    ]
    assert len(found.hosts) == 1


def test_a_host_without_ingress_may_have_its_ports_taken() -> None:
    hosts = (Host(name="hv1", address="10.9.0.1", ingress=False), "hv2")
    declared = fleet(service(ports=HTTP, publish=(Publication(port=80, to="http"),)), hosts=hosts)
    claims = (Claim(kind="port", owner="", holder="", port=80),)
    assert placed(declared, world(declared, hv1=survey("hv1", claims=claims))).shortfalls == ()


def test_ports_for_forwards_can_run_out() -> None:
    declared = fleet(service(ports=HTTP), hosts=("hv1",))
    claims = tuple(Claim(kind="port", owner="", holder="", port=port) for port in range(10_000, 20_000))
    found = placed(declared, world(declared, hv1=survey("hv1", claims=claims)))
    assert [(r.dimension, r.need, r.free) for r in found.shortfalls] == [("ports", 1, 0)]
