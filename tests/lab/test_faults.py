"""What a night can bring to three hosts: each ends as declared or in a truthful refusal, nothing doubled or left over.

One fleet stands for all tests here; each breaks something of it, and ends with ``converge``: an apply that ends well,
an empty plan, every replica once, nothing aside.
"""

import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.fleets import NAMES, OWNER, PLAYBOOK, STORE, LabFleet, ended
from tests.lab.lab import Lab, LabHost, until
from tests.onhost.world import size
from tests.operations.fleets import Ran

pytestmark = pytest.mark.real
STEPS = (1, 17)
"""After how many done steps the control process is killed, unless all of them are asked for."""
CONSOLE = 1 << 20
"""The playbook's bound of one console file (of two)."""


@pytest.fixture(scope="module")
def standing(standing_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> LabFleet:
    return LabFleet(standing_lab, tmp_path_factory.mktemp("faults") / "fleet")


@pytest.fixture
def fleet(standing: LabFleet) -> Iterator[LabFleet]:
    """The fleet converged as the test before left it, or as the playbook has it, on new hosts, where that failed."""
    if not standing.sound:
        original(standing)
        standing.lab.each(LabHost.fresh)
        standing.converge()
    standing.sound = False
    yield standing
    standing.lab.each(LabHost.mend)


def original(fleet: LabFleet) -> None:
    """The files as the playbook has them."""
    for file in PLAYBOOK.iterdir():
        (fleet.folder / file.name).write_bytes(file.read_bytes())


def change(fleet: LabFleet, greeting: str, proving: str = "500ms") -> None:
    """Every front is to be replaced, and healthy for so long first."""
    original(fleet)
    fleet.edit("--greeting=front", f"--greeting={greeting}")
    fleet.edit("min_healthy_time: 500ms", f"min_healthy_time: {proving}")


def there(fleet: LabFleet) -> dict[str, frozenset[str]]:
    """What each host has a record of."""
    return {host.name: fleet.instances(host) for host in fleet.lab}


def under_way(
    fleet: LabFleet, process: subprocess.Popen[str], before: dict[str, frozenset[str]], besides: LabHost | None = None
) -> LabHost:
    """The host on which a new front was recorded since ``before``; not ``besides``."""
    hosts = [host for host in fleet.lab if host is not besides]
    found: list[LabHost] = []

    def look() -> list[LabHost]:
        assert process.poll() is None, process.communicate()[0]
        found[:] = [h for h in hosts if any("front" in key for key in fleet.instances(h) - before[h.name])]
        return found

    until(look, "a new front is on its way")
    return found[0]


def struck(fleet: LabFleet, strike: Callable[[LabHost], object]) -> tuple[LabHost, Ran]:
    """A host that was struck in the middle of an apply, and how the apply ended."""
    before = there(fleet)
    process = fleet.start("apply", "-auto-approve")
    host = under_way(fleet, process, before)
    strike(host)
    return host, ended(process)


# -- things done by hand on a host


def test_a_guest_killed_by_hand_is_there_again_and_its_neighbours_never_noticed(fleet: LabFleet) -> None:
    others = {name: fleet.guest(name)[1] for name in NAMES - {"front-1"}}
    _, pid = fleet.guest("front-1")
    os.kill(pid, signal.SIGKILL)
    until(lambda: fleet.guests()["front-1"] and fleet.guest("front-1")[1] != pid, "it is started again")
    assert fleet.run("plan", "-detailed-exitcode").code == 0
    fleet.converge()
    assert {name: fleet.guest(name)[1] for name in others} == others
    assert fleet.guest("front-1")[1] != pid


def test_a_damaged_image_is_sent_anew_before_anything_boots_from_it(fleet: LabFleet) -> None:
    digest = hashlib.sha256((PLAYBOOK / "hello.elf").read_bytes()).hexdigest()
    for host in fleet.lab:
        image = next(path for path in host.path(f"{STORE}/images").glob(f"{digest}*") if path.is_file())
        image.chmod(0o644)
        with image.open("r+b") as file:
            file.seek(20_000)
            file.write(b"\0damaged\0")
    change(fleet, "again")
    fleet.converge()
    for host in fleet.lab:
        assert hashlib.sha256(host.path(f"{STORE}/images/{digest}").read_bytes()).hexdigest() == digest


def test_a_record_edited_by_hand_is_told_and_replaced_and_nothing_else_is(fleet: LabFleet) -> None:
    """One so that it cannot be read any more, one so that it can: it would forward another port."""
    torn, changed = _record(fleet, "api-1"), _record(fleet, "front-1")
    others = {name: fleet.guest(name)[1] for name in NAMES - {"api-1", "front-1"}}
    torn.write_text(torn.read_text()[:100])
    port = json.loads(changed.read_text())["run"]["forwards"][0]["host"]
    changed.write_text(changed.read_text().replace(str(port), str(port + 17)))
    planned = fleet.run("plan", "-detailed-exitcode")
    assert planned.code in (2, 6), planned.out
    assert set(re.findall(r"\b(?:counter|api|front)-\d\b", planned.out)) == {"api-1", "front-1"}, planned.out
    fleet.converge()
    assert {name: fleet.guest(name)[1] for name in others} == others


def _record(fleet: LabFleet, name: str) -> Path:
    host, _ = fleet.guest(name)
    return next(host.path(f"{STORE}/fleets/{OWNER}/instances").glob(f"{name}.*")) / "record.json"


def test_a_clock_two_hours_off_is_told_and_changes_nothing_else(fleet: LabFleet) -> None:
    host = fleet.lab["hv2"]
    host.clock(7200)
    try:
        change(fleet, "later")
        applied = fleet.apply()
        assert applied.code == 0, applied.out
        assert "the clock of hv2 is 2 hours ahead of this machine's" in applied.out
        fleet.converge()
    finally:
        host.clock(0)


@pytest.mark.soak
def test_a_guest_that_floods_its_console_does_not_fill_the_disk(fleet: LabFleet) -> None:
    change(fleet, 'loud", "--flood', "2s, healthy_deadline: 4s")
    process, largest, used = fleet.start("apply", "-auto-approve"), 0, 0
    while process.poll() is None:
        largest = max(largest, *(size(path) for host in fleet.lab for path in _consoles(host)), 0)
        used = max(used, *(_used(host) for host in fleet.lab))
    ended(process)
    assert CONSOLE // 2 < largest <= CONSOLE * 1.1, "the bound was never near, or not kept"
    assert used < 64 << 20
    original(fleet)
    fleet.converge()


def test_a_full_disk_refuses_what_needs_room_and_leaves_what_runs(fleet: LabFleet) -> None:
    host, image = fleet.lab["hv2"], fleet.folder / "hello.elf"
    before = fleet.guests()
    host.enter(
        f"dd if=/dev/zero of={STORE}/fill bs=1M 2>/dev/null; dd if=/dev/zero of={STORE}/rest bs=1k 2>/dev/null; true"
    )
    image.write_bytes(image.read_bytes() + secrets.token_bytes(100_000))
    applied = fleet.apply()
    assert applied.code == 1, applied.out
    assert re.search(r"hv2.*(room|space|full)|(room|space|full).*hv2", applied.out, re.DOTALL | re.IGNORECASE), (
        applied.out
    )
    assert set(fleet.guests()) >= set(before)
    host.enter(f"rm {STORE}/fill {STORE}/rest")
    fleet.converge()


# -- hosts that do not answer


def test_a_silent_host_is_unknown_on_every_path_and_nothing_it_may_route_to_is_taken_down(fleet: LabFleet) -> None:
    """By a host key that changed: the host lives on, and nobody may look at it."""
    known = fleet.lab.folder / "known_hosts"
    before, guests = known.read_text(), fleet.guests()
    rows = before.splitlines()
    wrong = rows[2].replace(rows[2].split()[2], rows[0].split()[2])
    known.write_text("\n".join([*rows[:2], wrong]) + "\n")
    try:
        for command in ("plan", "status", "locks"):
            told = fleet.run(command)
            assert told.code == 5, told.out
            assert "hv3" in told.out
        assert "its host key has changed" in fleet.run("plan").out
        change(fleet, "unheard")
        planned = fleet.run("plan")
        assert "unknown_because_unreachable" in planned.out
        assert "held_because_ingress_unknown" in planned.out
        applied = fleet.apply()
        assert applied.code == 5, applied.out
        assert not {name: n for name, n in guests.items() if fleet.guests()[name] < n}, "an old one was taken down"
    finally:
        known.write_text(before)
    fleet.converge()


def test_a_host_that_reboots_in_the_middle_of_an_apply_is_made_whole_by_the_next(fleet: LabFleet) -> None:
    change(fleet, "anew", "4s")
    host, told = struck(fleet, lambda host: host.reboot(wait=False))
    assert told.code != 0, told.out
    assert host.name in told.out
    host.wait()
    fleet.converge()


@pytest.mark.soak
def test_a_host_that_loses_power_in_the_middle_of_an_apply_is_made_whole_by_the_next(fleet: LabFleet) -> None:
    lone = """
  lone:
    extends: small
    args: ["--greeting=lone"]
    health: {http: /healthz, port: http, interval: 100ms, min_healthy_time: 6s}
"""
    change(fleet, "dark", "4s")
    text, before = (fleet.folder / "fleet.yaml").read_text(), there(fleet)
    (fleet.folder / "fleet.yaml").write_text(text + lone)
    process = fleet.start("apply", "-auto-approve")
    until(lambda: "lone-0" in fleet.guests(), "what needs none of the others starts")
    aside, _ = fleet.guest("lone-0")
    host = under_way(fleet, process, before, besides=aside)
    host.power_cut()
    told = ended(process)
    assert told.code != 0, told.out
    assert fleet.run("status").code == 5
    assert fleet.rows()["lone-0"]["health"] == "healthy", "it needed nothing that died"
    host.start()
    (fleet.folder / "fleet.yaml").write_text(text)
    fleet.converge()


@pytest.mark.soak
def test_a_link_cut_while_an_image_travels_ends_the_apply_in_time_and_the_next_sends_the_rest(fleet: LabFleet) -> None:
    host, image = fleet.lab["hv2"], fleet.folder / "hello.elf"
    image.write_bytes(image.read_bytes() + secrets.token_bytes(12 << 20))
    shape = ("tc", "qdisc", "add", "dev", f"vb-{host.name}", "root", "tbf", "rate", "10mbit", "burst", "32k")
    fleet.lab.on_network(*shape, "latency", "400ms")
    process = fleet.start("apply", "-auto-approve")
    try:
        partial = host.path(f"{STORE}/images")
        until(lambda: any(size(p) > 4 << 20 for p in partial.glob(".partial-*")), "a third of the image is there")
        host.cut()
        began = time.monotonic()
        told = ended(process)
    finally:
        fleet.lab.on_network("tc", "qdisc", "del", "dev", f"vb-{host.name}", "root")
    assert told.code in (1, 5), told.out
    assert "hv2" in told.out
    assert time.monotonic() - began < 60
    host.mend()
    sent = re.findall(r"hv2.*?([\d.]+) MiB sent", fleet.converge().out)
    assert sent, "nothing was sent"
    assert max(map(float, sent)) < 9, sent


# -- processes that die


@pytest.mark.soak
def test_a_killed_host_side_and_a_killed_ssh_of_another_host_are_told_and_gone_on_after(fleet: LabFleet) -> None:
    change(fleet, "cut-short", "4s")
    before = there(fleet)
    process = fleet.start("apply", "-auto-approve")
    host = under_way(fleet, process, before)
    other = next(each for each in fleet.lab if each is not host)
    os.kill(host.processes("binascii")[0], signal.SIGKILL)
    os.kill(fleet.ssh_to(process.pid, other), signal.SIGKILL)
    told = ended(process)
    assert told.code == 0, told.out
    for each in (host, other):
        assert f"host {each.name}: the connection was lost in the middle, and was made again" in told.out
    fleet.converge()


def kill_after(fleet: LabFleet, steps: int) -> bool:
    """Kill an apply once it has told so many done steps; False where it was over before."""
    change(fleet, f"take-{steps}")
    process = fleet.start("apply", "-auto-approve", "-json", "-lock-timeout", "60s")
    assert process.stdout is not None
    done = 0
    for line in process.stdout:
        done += json.loads(line).get("type") == "finished"
        if done == steps:
            process.kill()
            process.wait()
            return True
    process.wait()
    return False


@pytest.mark.parametrize("steps", STEPS)
def test_the_control_process_may_be_killed_after_any_step(fleet: LabFleet, steps: int) -> None:
    assert kill_after(fleet, steps)
    fleet.converge()


@pytest.mark.soak
def test_the_control_process_may_be_killed_after_every_step(fleet: LabFleet) -> None:
    steps = 1
    while kill_after(fleet, steps):
        fleet.converge()
        steps += 1
    assert steps > max(STEPS)
    fleet.converge()


def _consoles(host: LabHost) -> list[Path]:
    return list(host.path(f"{STORE}/fleets/{OWNER}").glob("*/*/console*"))


def _used(host: LabHost) -> int:
    """Bytes that the store takes, whoever writes and removes there meanwhile."""
    words = ["du", "-sB1", str(host.path(STORE))]
    return int(subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()[0])
