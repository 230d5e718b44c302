"""The lab playbook: three services over three hosts, from nothing to answers everywhere, and back to nothing."""

import re

import pytest

from tests.lab.fleets import STORE, LabFleet
from tests.lab.lab import until

pytestmark = pytest.mark.real


def test_every_ingress_host_reaches_every_replica_on_all_hosts_and_destroy_leaves_nothing(fleet: LabFleet) -> None:
    before = {host.name: fleet.left(host) for host in fleet.lab}
    planned = fleet.run("plan")
    assert "published front.http  *:8080           on hv1, hv2, hv3" in planned.out
    assert re.search(r"api\.http +127\.0\.0\.1:2000\d  on hv1, hv2, hv3", planned.out)
    fleet.converge()
    where = {name: fleet.guest(name)[0].name for name in fleet.guests()}
    assert {where[f"front-{n}"] for n in range(3)} == {where[f"api-{n}"] for n in range(3)} == {"hv1", "hv2", "hv3"}
    for host in fleet.lab:
        answers = [fleet.get(host) for _ in range(9)]
        assert {each["name"] for each in answers} == {"front-0", "front-1", "front-2"}
        assert {re.findall(r"hello from (api-\d)", each["call"]["answer"])[0] for each in answers} == {
            "api-0",
            "api-1",
            "api-2",
        }
    destroyed = fleet.run("destroy", "-auto-approve", "-allow-destroy", "volume:count")
    assert destroyed.code == 0, destroyed.out
    for host in fleet.lab:
        until(lambda host=host: not host.processes("haproxy"), f"the ingress of {host.name} ends")
        until(lambda host=host: not host.processes("import supervisor"), f"the supervisor of {host.name} ends")
        assert fleet.left(host) == before[host.name]
        kept = {path.relative_to(host.path(STORE)).parts[2] for path in host.path(STORE).glob("fleets/*/*")}
        assert kept <= {"retired"}, kept


@pytest.mark.soak
def test_instances_move_off_a_drained_host_and_where_the_new_ones_fail_the_old_ones_stay(fleet: LabFleet) -> None:
    fleet.edit("min_healthy_time: 500ms", "min_healthy_time: 500ms, healthy_deadline: 15s")
    fleet.converge()
    counter, _ = fleet.guest("counter-0")
    leaving = next(host for host in fleet.lab if host is not counter)
    here = {name: fleet.guest(name) for name in fleet.guests()}
    moving = {name for name, (host, _) in here.items() if host is leaving}
    assert {name.partition("-")[0] for name in moving} == {"api", "front"}
    zone = {"hv1": "a", "hv2": "b", "hv3": "c"}[leaving.name]
    fleet.edit(f"zone: {zone}", f"zone: {zone}, drain: true")
    fleet.edit('"--greeting=front"', '"--greeting=front", "--unhealthy-until=100000"')
    failed = fleet.apply()
    assert failed.code == 8, failed.out
    fronts = {name: at for name, at in here.items() if name.startswith("front-")}
    assert {name: fleet.guest(name) for name in fronts} == fronts
    assert {fleet.get(host)["name"] for host in fleet.lab for _ in range(6)} == set(fronts)
    fleet.edit('"--greeting=front", "--unhealthy-until=100000"', '"--greeting=front"')
    (front,) = moving & fronts.keys()
    assert f"{front}  from {leaving.name} to " in fleet.run("plan").out
    fleet.counted = None  # A host without instances has less on it.
    fleet.converge()
    assert {name: fleet.guest(name) for name in here.keys() - moving} == {n: here[n] for n in here.keys() - moving}
    assert all(fleet.guest(name)[0] is not leaving for name in moving)
    # Its ingress still leads to all of them, wherever they went.
    assert {fleet.get(leaving)["name"] for _ in range(9)} == set(fronts)
