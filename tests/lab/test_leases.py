"""Leases between real hosts: one writer at a time, and nothing that can happen to it keeps the next one waiting."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab.fleets import OWNER, STORE, LabFleet, ended, kill, wait_for_record
from tests.lab.lab import LabHost, until

pytestmark = pytest.mark.real
STATED = 30.0
"""Seconds that a dead writer may keep a lease."""


def slow(fleet: LabFleet, proving: str = "20s") -> None:
    """Proving takes long enough to look at an apply while it is under way."""
    fleet.edit("min_healthy_time: 500ms", f"min_healthy_time: {proving}, healthy_deadline: 60s")


def held(fleet: LabFleet, host: LabHost) -> dict[str, object] | None:
    told = json.loads(fleet.run("locks", "-json").out)
    found: dict[str, object] | None = next(each["lease"] for each in told["hosts"] if each["name"] == host.name)
    return found


def test_of_two_applies_one_waits_or_is_told_who_is_at_work_and_locks_shows_it(fleet: LabFleet) -> None:
    slow(fleet)
    first = fleet.start("apply", "-auto-approve")
    wait_for_record(fleet.lab["hv1"])
    second = fleet.apply()
    assert second.code == 7, second.out
    shown = fleet.run("locks")
    user = held(fleet, fleet.lab["hv1"])["user"]  # type: ignore[index]
    assert f"{user} (apply)" in second.out
    assert f"{user} holds the lease" in shown.out
    assert "Held on 3 hosts." in shown.out
    kill(first, signal.SIGKILL)
    first.communicate()
    fleet.edit("min_healthy_time: 20s, healthy_deadline: 60s", "min_healthy_time: 500ms")
    third, fourth = (fleet.start("apply", "-auto-approve", "-lock-timeout", "2m", "-retry") for _ in range(2))
    codes = sorted((ended(third).code, ended(fourth).code))
    # The one that waited finds that its plan was carried out by the other meanwhile, or makes it whole.
    assert codes in ([0, 0], [0, 4]), codes
    fleet.converge()


@pytest.mark.soak
def test_no_writer_that_went_deaf_holds_a_lease_longer_than_stated_and_none_writes_when_it_wakes(
    fleet: LabFleet,
) -> None:
    """All at once, each on a host of its own: the host side is stopped, the ssh is stopped, no packet comes through."""
    slow(fleet)
    stopped, sleeping, cut = fleet.lab
    first = fleet.start("apply", "-auto-approve")
    wait_for_record(stopped)
    before = {host.name: _token(host) for host in fleet.lab}
    side, ssh = stopped.processes("binascii")[0], fleet.ssh_to(first.pid, sleeping)
    os.kill(side, signal.SIGSTOP)
    os.kill(ssh, signal.SIGSTOP)
    cut.drop()
    until(lambda: not _holds(sleeping), "the lease behind a stopped ssh is free", STATED + 5)
    until(lambda: not _holds(cut), "the lease behind a dead line is free", STATED + 5)
    beaten = float(stopped.path(f"{STORE}/leases/{OWNER}").read_text())
    until(lambda: time.monotonic() - beaten > STATED, "the beat of the stopped one is too old", STATED + 5)
    cut.mend()
    with suppress(ProcessLookupError):
        # Its command has given it up and ended it by now, as a rule.
        os.kill(ssh, signal.SIGCONT)
    assert ended(first).code != 0
    assert _holds(stopped)
    fleet.edit("min_healthy_time: 20s, healthy_deadline: 60s", "min_healthy_time: 500ms")
    fleet.converge()
    assert not Path(f"/proc/{side}").exists(), "the stopped one could still write"
    assert all(_token(host) > before[host.name] for host in fleet.lab)


@pytest.mark.soak
def test_a_control_machine_that_slept_finds_its_lease_given_away_and_changes_nothing(fleet: LabFleet) -> None:
    slow(fleet)
    first = fleet.start("apply", "-auto-approve")
    wait_for_record(fleet.lab["hv1"])
    asleep = [first.pid, *(fleet.ssh_to(first.pid, host) for host in fleet.lab)]
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    fleet.edit("min_healthy_time: 20s, healthy_deadline: 60s", "min_healthy_time: 500ms")
    fleet.edit("--greeting=front", "--greeting=awake")
    fleet.converge()
    guests = {name: fleet.guest(name) for name in fleet.guests()}
    for pid in asleep:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    told = ended(first)
    assert told.code not in (0, 8), told.out
    assert {name: fleet.guest(name) for name in fleet.guests()} == guests
    fleet.converge()


def test_the_holder_on_a_host_can_be_ended_by_name(fleet: LabFleet) -> None:
    slow(fleet, "6s")
    first = fleet.start("apply", "-auto-approve")
    host = fleet.lab["hv2"]
    until(lambda: host.path(f"{STORE}/leases/{OWNER}.holder").exists(), "hv2 is held")
    assert "Ended the process that held the lease of hv2." in fleet.run("locks", "-end-holder", "hv2").out
    assert held(fleet, host) is None
    assert ended(first).code != 0
    assert "Nobody holds the lease of hv2." in fleet.run("locks", "-end-holder", "hv2").out
    fleet.edit("min_healthy_time: 6s, healthy_deadline: 60s", "min_healthy_time: 500ms")
    fleet.converge()


TAKE = """python3 - <<'END'
import fcntl, os, struct, sys
try:
    fcntl.fcntl(os.open('{path}', os.O_RDWR), fcntl.F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
except OSError:
    sys.exit(1)
END"""


def _holds(host: LabHost) -> bool:
    """Whether somebody has the lock of the lease."""
    return host.enter(TAKE.format(path=f"{STORE}/leases/{OWNER}"), check=False).code == 1


def _token(host: LabHost) -> int:
    return int(host.path(f"{STORE}/leases/{OWNER}.token").read_text())
