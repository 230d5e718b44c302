"""Hosts where systemd is PID 1: instances, supervisor and ingress are units, and come back with nobody's help."""

import os
import signal

import pytest

from tests.lab.fleets import NAMES, STORE, LabFleet, units
from tests.lab.lab import LabHost, until

pytestmark = pytest.mark.real
SUPERVISOR = "systemd_daemon as module"
BOOTED = "/run/systemd/system"


def healthy(fleet: LabFleet) -> bool:
    rows = fleet.rows()
    assert {row["state"] for row in rows.values()} <= {"running"}, rows
    return set(rows) == NAMES and {row["health"] for row in rows.values()} == {"healthy"}


def planned_truly(fleet: LabFleet) -> bool:
    """Whether a plan reaches all hosts; it never has anything to do, also while some are down or starting."""
    told = fleet.run("plan", "-detailed-exitcode")
    assert told.code in (0, 5), told.out
    assert "Plan: 0 to add, 0 to replace, 0 to destroy, 0 to adjust" in told.out or told.code == 0, told.out
    return told.code == 0


def test_after_all_hosts_went_down_at_once_all_is_as_declared_and_destroy_leaves_no_unit(fleet: LabFleet) -> None:
    fleet.converge()
    before = fleet.rows()
    assert {row["supervision"] for row in before.values()} == {"systemd"}
    last, _ = fleet.guest("counter-0")
    last.power_cut()
    for host in fleet.lab:
        if host is not last:
            host.reboot(wait=False)
    last.start()
    until(lambda: planned_truly(fleet) and healthy(fleet), "all of it is healthy again")
    after = fleet.rows()
    assert {name: row["generation"] for name, row in after.items()} == {
        name: row["generation"] for name, row in before.items()
    }
    assert fleet.run("plan", "-detailed-exitcode").code == 0
    assert {fleet.get(host)["name"] for host in fleet.lab for _ in range(6)} == {"front-0", "front-1", "front-2"}
    assert fleet.run("destroy", "-auto-approve", "-allow-destroy", "volume:count").code == 0
    for host in fleet.lab:
        assert units(host) == []
        assert not host.path(f"{STORE}/code").exists()


def test_a_killed_supervisor_and_a_killed_ingress_are_back_and_no_guest_noticed(fleet: LabFleet) -> None:
    fleet.converge()
    host, guest = fleet.guest("front-0")
    for word in (SUPERVISOR, "haproxy"):
        (old,) = host.processes(word)
        os.kill(old, signal.SIGKILL)
        until(lambda word=word, old=old: set(host.processes(word)) - {old}, f"{word} is there again")
    until(lambda: fleet.answers(host), "the ingress answers")
    assert fleet.guest("front-0") == (host, guest)
    until(lambda: healthy(fleet), "all of it is healthy")


def test_what_a_supervisor_started_before_systemd_supervised_runs_on_and_gets_its_unit(fleet: LabFleet) -> None:
    fleet.lab.each(lambda host: host.enter(f"mv {BOOTED} {BOOTED}.hidden"))
    fleet.converge()
    assert {row["supervision"] for row in fleet.rows().values()} == {"detached"}
    fleet.lab.each(lambda host: host.enter(f"mv {BOOTED}.hidden {BOOTED}"))
    kept = {name: fleet.guest(name) for name in NAMES if not name.startswith("front-")}
    fleet.edit("--greeting=front", "--greeting=door")
    fleet.counted = None  # Units are new there.
    assert fleet.run("plan").out.splitlines()[-1].startswith("Plan: 0 to add, 3 to replace, 0 to destroy")
    fleet.converge()
    assert {name: fleet.guest(name) for name in kept} == kept
    assert {row["supervision"] for row in fleet.rows().values()} == {"systemd"}
    fleet.lab.each(LabHost.power_cut)
    fleet.lab.each(LabHost.start)
    until(lambda: healthy(fleet), "all of it is healthy again")
