"""Faults of guests, hypervisors and supervisors where systemd supervises: each is told as what it was, and mended as
its record says. One fleet on one host stands for all tests here; each breaks a replica of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleets import OWNER, STORE, LabFleet
from tests.lab.lab import Lab, LabHost, until
from tests.onhost.world import size
from tests.operations.fleets import UNICTL
from unictl.hosts import archive
from unictl.onhost.storage import identifiers
from unictl.views.text import status
from unictl.views.text.layout import plain_text

pytestmark = pytest.mark.real
TESTS = Path(__file__).parents[1]
SUPERVISOR = "systemd_daemon as module"
CONSOLE = 1 << 20
"""The bound of one console file (of two)."""
FLEET = """\
fleet: {name: lab, id: 1ab3e7}
hosts:
  hv1: {connect: "ssh://root@hv1", address: 10.77.0.11}
images:
  hello: {guest: plain, kernel: hello.elf}
services:
  web:
    image: hello
    memory: 16MiB
    replicas: 7
    ports: {http: 8080}
    health: {http: /healthz, port: http, interval: 100ms, min_healthy_time: 100ms}
    placement: {cpu_ratio: 40}
    publish: {8080: http}
"""
THROUGH = """\
import json, os, signal, socket, sys
path, supervisor, word, then = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
monitor = socket.socket(socket.AF_UNIX)
monitor.settimeout(20)
monitor.connect(path)
os.kill(supervisor, signal.SIGKILL)
lines = monitor.makefile("rw")
lines.readline()
for command in ({"execute": "qmp_capabilities"}, {"execute": word, "arguments": then}):
    lines.write(json.dumps(command) + "\\n")
    lines.flush()
    print(lines.readline())
"""
"""A QMP command of our own: one client at a time is heard, so we stand in line and end the one before us."""


class House:
    """One host with the fleet on it."""

    def __init__(self, fleet: LabFleet, host: LabHost):
        self.fleet = fleet
        self.host = host

    def row(self, name: str) -> dict[str, Any]:
        return self.fleet.rows()[name]

    def facts(self, name: str, event: str = "ended") -> list[dict[str, Any]]:
        """Entries of its starts or ends."""
        path = self.folder(name) / "run-log.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        return [entry for entry in found if entry["event"] == event]

    def folder(self, name: str) -> Path:
        (found,) = self.host.path(f"{STORE}/fleets/{OWNER}/instances").glob(f"{name}.*")
        return found

    def running(self, name: str) -> bool:
        return bool(self.host.processes(f"-name {name}."))

    def behave(self, name: str, what: str) -> None:
        """Have a guest do something."""
        record = json.loads((self.folder(name) / "record.json").read_text())
        port = record["run"]["forwards"][0]["host"]
        words = ("curl", "-sSf", "-m", "10", "-X", "POST", f"http://127.0.0.1:{port}/behave/{what}")
        inside = ("nsenter", "-t", str(self.host.leader), "-n", "--")
        subprocess.run([*inside, *words], check=True, capture_output=True, timeout=30)

    def ended(self, name: str, what: str) -> dict[str, Any]:
        """Have it end, by its own doing; the facts of that end."""
        before = len(self.facts(name))
        self.behave(name, what)
        return self.next_end(name, before)

    def next_end(self, name: str, before: int) -> dict[str, Any]:
        until(lambda: len(self.facts(name)) > before, f"{name} ends")
        return self.facts(name)[before]

    def back(self, name: str, starts: int) -> None:
        """Until it was started so often, and is healthy."""
        until(lambda: len(self.facts(name, "started")) >= starts, f"{name} is started again")
        until(lambda: self.row(name)["health"] == "healthy", f"{name} is healthy again")

    @property
    def supervisor(self) -> int:
        until(lambda: self.host.processes(SUPERVISOR), "there is a supervisor")
        return self.host.processes(SUPERVISOR)[0]

    def replace(self, name: str) -> None:
        applied = self.fleet.apply("-replace", name)
        assert applied.code == 0, applied.out

    def unit(self, name: str) -> str:
        """Its unit's name."""
        text = f"Description=Instance {self.folder(name).name} "
        folder = self.host.path("/etc/systemd/system")
        return next(path.name for path in folder.glob("unictl-*.service") if text in path.read_text())

    @property
    def supervisor_unit(self) -> str:
        """The name of the supervisor's unit."""
        text = f"Description=Supervisor of fleet {OWNER}"
        folder = self.host.path("/etc/systemd/system")
        return next(path.name for path in folder.glob("unictl-*.service") if text in path.read_text())

    def logs(self, name: str, *words: str) -> str:
        told = subprocess.run(
            [*UNICTL, "logs", name, str(self.fleet.folder), *words],
            env=self.fleet.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return told.stdout

    def kvm(self, name: str) -> str:
        """What became of a hypervisor's wish to open /dev/kvm; empty while nothing is known."""
        for pid in self.host.processes(f"-name {name}."):
            with suppress(OSError):
                if any("kvm-vm" in str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()):
                    return "opened"
        said = self.logs(name)
        told = {"KVM internal error": "opened", "No such device": "there is none", "Could not access KVM": "denied"}
        return next((what for words, what in told.items() if words in said), "")

    @contextmanager
    def follow(self, name: str) -> Iterator[Iterator[str]]:
        """The lines of ``logs -f`` as they come."""
        words = [*UNICTL, "logs", name, str(self.fleet.folder), "-f"]
        with subprocess.Popen(words, env=self.fleet.env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield iter(process.stdout)
            finally:
                process.kill()

    def tell_qemu(self, name: str, word: str, **arguments: Any) -> None:
        """A command by QMP; the supervisor dies of it."""
        run = f"{STORE}/run/{identifiers.run_dir_name(OWNER, self.folder(name).name)}"
        supervisor = self.host.enter(f"cat {STORE}/run/{identifiers.run_dir_name(OWNER)}/lock").out.strip()
        self.host.path("/root/through.py").write_text(THROUGH)
        self.host.enter(
            f"python3 /root/through.py {run}/qmp {supervisor} {word} '{json.dumps(arguments)}'", check=False
        )


@pytest.fixture(scope="module")
def house(standing_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    host = standing_lab["hv1"]
    host.mend()
    host.fresh()
    fleet = LabFleet(standing_lab, tmp_path_factory.mktemp("units") / "fleet")
    (fleet.folder / "fleet.yaml").write_text(FLEET)
    (fleet.folder / "fleet.lock").unlink()
    applied = fleet.apply()
    assert applied.code == 0, applied.out
    yield House(fleet, host)
    host.fresh()


def test_pauses_before_a_start_grow_and_outlive_the_supervisor(house: House) -> None:
    assert house.ended("web-0", "crash")["pause"] == 1
    house.back("web-0", 2)
    second = house.ended("web-0", "crash")
    assert (second["verdict"], second["reason"], second["pause"]) == ("crash", "guest-reset", 2)
    os.kill(house.supervisor, signal.SIGKILL)
    house.back("web-0", 3)
    assert house.facts("web-0", "started")[2]["at"] >= second["at"] + 1.9
    assert house.ended("web-0", "crash")["pause"] == 4
    house.back("web-0", 4)
    # Long enough for a status, also on a busy machine.
    last = house.ended("web-0", "crash")
    assert (last["pause"], last["restarting"]) == (8, True)
    document = json.loads(house.fleet.run("status", "-json").out)
    told = next(row for row in document["instances"] if row["name"] == "web-0")
    assert (told["state"], told["exit"]["restarting"], told["exit"]["pause"]) == ("ended", True, 8)
    text = "".join(f"{plain_text(line)}\n" for line in status.render(document))
    assert re.search(r"web-0: it ended \d s ago: crash \(status 0, guest-reset\), and is\s+started", text)


def test_a_paused_hypervisor_is_a_dead_guest_and_is_started_anew(house: House) -> None:
    before = house.host.processes("-name web-1.")
    house.tell_qemu("web-1", "stop")
    end = house.next_end("web-1", 0)
    assert (end["verdict"], end["reason"], end["restarting"]) == ("crash", "paused", True)
    house.back("web-1", 2)
    assert house.host.processes("-name web-1.") != before


def test_no_unit_starts_from_a_record_that_was_edited_by_hand(house: House) -> None:
    unit, record = house.unit("web-1"), house.folder("web-1") / "record.json"
    record.write_text(record.read_text().replace('"-m","16M"', '"-m","48M"'))
    assert not house.ended("web-1", "crash")["restarting"]
    assert house.host.enter(f"systemctl start {unit}", check=False).code != 0
    last = house.facts("web-1")[-1]
    assert (last["verdict"], last["restarting"]) == ("configuration", False)
    assert last["reason"].endswith("/record.json was edited by hand")
    assert "record.json was edited by hand" in house.row("web-1")["detail"]
    house.replace("web-1")
    assert house.host.processes("-m 16M")


def test_a_killed_hypervisor_is_started_again_and_one_whose_unit_was_stopped_is_not(house: House) -> None:
    for number, name in ((signal.SIGKILL, "KILL"), (signal.SIGTERM, "TERM")):
        before, starts = len(house.facts("web-3")), len(house.facts("web-3", "started"))
        os.kill(house.host.processes("-name web-3.")[0], number)
        end = house.next_end("web-3", before)
        assert (end["verdict"], end["restarting"]) == ("killed", True), name
        house.back("web-3", starts + 1)
    before, starts = len(house.facts("web-3")), len(house.facts("web-3", "started"))
    unit = house.unit("web-3")
    house.host.enter(f"systemctl stop {unit}")
    end = house.next_end("web-3", before)
    assert (end["verdict"], end["reason"], end["restarting"]) == ("killed", "its unit was stopped", False)
    assert house.host.enter(f"systemctl is-enabled {unit}").out == "enabled\n"
    os.kill(house.supervisor, signal.SIGKILL)
    text = house.fleet.run("status").out
    assert re.search(r"web-3: it ended \d+ \w+ ago: killed \(.*its\s+unit\s+was\s+stopped\)", text), text
    assert not house.running("web-3")
    house.host.enter(f"systemctl start {unit}")
    house.back("web-3", starts + 1)


def test_what_would_not_start_with_its_host_is_told_and_mended_and_no_guest_notices(house: House) -> None:
    units = [house.unit(name) for name in ("web-4", "web-5")]
    before = [house.host.processes(f"-name {name}.") for name in ("web-4", "web-5")]
    house.host.enter(f"systemctl disable {units[0]}")
    house.host.enter(f"rm /etc/systemd/system/{units[1]}; systemctl daemon-reload")
    assert "its host would not start it at boot" in house.row("web-4")["detail"]
    planned = house.fleet.run("plan").out
    assert planned.splitlines()[-1].startswith("Plan: 0 to add, 0 to replace, 0 to destroy, 2 to adjust"), planned
    assert house.fleet.apply().code == 0
    for unit in units:
        assert house.host.enter(f"systemctl is-enabled {unit}").out == "enabled\n"
    assert [house.host.processes(f"-name {name}.") for name in ("web-4", "web-5")] == before
    assert house.fleet.run("plan", "-detailed-exitcode").code == 0


def test_memory_beyond_the_limit_ends_the_hypervisor_and_is_told_as_that(house: House) -> None:
    too_much = {"qom-type": "memory-backend-ram", "id": "much", "size": 600 << 20, "prealloc": True}
    house.tell_qemu("web-2", "object-add", **too_much)
    end = house.next_end("web-2", 0)
    assert (end["verdict"], end["reason"], end["restarting"]) == ("crash", "out-of-memory", True)
    house.back("web-2", 2)


def test_an_instance_gets_no_more_than_its_processors(house: House) -> None:
    group = house.host.enter(f"systemctl show -P ControlGroup {house.unit('web-2')}").out.strip()
    asked = f"cat /sys/fs/cgroup/cpu/{group}/cpu.cfs_quota_us /sys/fs/cgroup/{group}/cpu.max 2>/dev/null"
    assert house.host.enter(asked, check=False).out.split()[:1] == ["100000"]


def test_a_configuration_error_is_never_started_again(house: House) -> None:
    end = house.ended("web-3", "exit/64")
    assert (end["verdict"], end["code"], end["restarting"]) == ("configuration", 64, False)
    assert house.row("web-3")["state"] == "ended"
    unit = house.unit("web-3")
    until(lambda: house.host.enter(f"systemctl is-enabled {unit}", check=False).out == "disabled\n", "it is disabled")
    assert not house.running("web-3")


def test_an_end_that_no_supervisor_heard_is_told_as_unknown_and_started_again_by_the_next(house: House) -> None:
    house.host.enter(f"systemctl stop {house.supervisor_unit}")
    house.behave("web-4", "crash")
    until(lambda: not house.running("web-4"), "its hypervisor is gone")
    told = house.row("web-4")
    assert (told["state"], told["exit"]["verdict"]) == ("ended", "unknown")
    house.host.enter(f"systemctl start {house.supervisor_unit}")
    end = house.next_end("web-4", 0)
    assert (end["verdict"], end["status"], end["restarting"]) == ("unknown", None, True)
    assert end["reason"] == "nobody heard why it ended with status 0"
    house.back("web-4", 2)


def test_a_console_is_followed_over_restarts_and_read_of_the_generation_before(house: House) -> None:
    assert "hello: listening on :8080" in house.logs("web-5")
    with house.follow("web-5") as lines:
        assert house.ended("web-5", "exit/3")["code"] == 3
        assert any("exits with 3" in line for line in lines)
        assert any("listening on :8080" in line for line in lines)
    house.replace("web-5")
    assert "exits with 3" in house.logs("web-5", "-previous")
    assert "exits with 3" not in house.logs("web-5")


@pytest.mark.soak
def test_a_guest_that_floods_its_console_fills_neither_disk_nor_journal(house: House) -> None:
    unit, console = house.unit("web-5"), house.folder("web-5")
    house.behave("web-5", "flood")
    until((console / "console.0").exists, "the console has turned over")
    assert max(size(path) for path in console.glob("console.*")) <= CONSOLE * 1.1
    assert len(house.host.enter(f"journalctl -o cat -u {unit}").out) < 10_000
    house.replace("web-5")


def test_a_supervisor_and_units_of_other_code_change_to_that_of_the_unictl_that_applies(house: House) -> None:
    supervisor, guest = house.supervisor, house.host.processes("-name web-6.")
    code = house.host.path(f"{STORE}/run/{identifiers.run_dir_name(OWNER)}/code")
    before = code.read_text()
    code.write_text("another")
    unit = house.host.path(f"/etc/systemd/system/{house.unit('web-6')}")
    unit.write_text(unit.read_text().replace(before, "0" * 64))
    house.replace("web-5")
    assert code.read_text() == before in unit.read_text()
    assert house.supervisor != supervisor
    assert house.host.processes("-name web-6.") == guest
    assert house.row("web-6")["health"] == "healthy"


def test_a_units_sandbox_and_user_let_the_hypervisor_open_kvm(house: House) -> None:
    """The accelerator is forced: whether it is worth having is for the probe to say."""
    given = "[ -e /dev/kvm ] || mknod /dev/kvm c 10 232; chown root:60 /dev/kvm; chmod 660 /dev/kvm"
    house.host.enter(given)
    there = house.host.enter("python3 -c 'import os; os.open(\"/dev/kvm\", os.O_RDWR)'", check=False).code == 0
    (known,) = house.host.path(STORE).glob("accelerator-*.json")
    before = known.read_text()
    forced = json.loads(before)
    forced["answer"].update(accel="kvm", cpu="max,-arch-capabilities")
    known.write_text(json.dumps(forced))
    try:
        house.ended("web-6", "crash")
        until(lambda: len(house.facts("web-6", "started")) > 1, "it is started again")
        until(lambda: house.kvm("web-6"), "QEMU has tried to open it")
        assert house.kvm("web-6") == ("opened" if there else "there is none")
    finally:
        known.write_text(before)


def test_a_start_that_does_not_find_the_kvm_of_its_host_takes_what_works_and_writes_that_down(house: House) -> None:
    unit = house.host.path(f"/etc/systemd/system/{house.unit('web-4')}")
    text = unit.read_text()
    (known,) = house.host.path(STORE).glob("accelerator-*.json")
    before = known.read_text()
    forced = json.loads(before)
    forced["key"][4] = True
    forced["answer"].update(accel="kvm", cpu="host")
    known.write_text(json.dumps(forced))
    unit.write_text(text.replace("BindPaths=-/dev/kvm\n", ""))
    house.host.enter("systemctl daemon-reload")
    try:
        starts = len(house.facts("web-4", "started"))
        house.ended("web-4", "crash")
        house.back("web-4", starts + 1)
        assert house.facts("web-4", "started")[-1]["accelerator"] == "tcg"
    finally:
        known.write_text(before)
        unit.write_text(text)
        house.host.enter("systemctl daemon-reload")


def obeys(house: House, stride: int) -> None:
    """The crash law, at every so many points; see ``law``."""
    folder = house.host.path("/root/law")
    folder.mkdir(exist_ok=True)
    (folder / "onhost.zip").write_bytes(archive.build_zip(TESTS.parent / "unictl" / "onhost"))
    for source in (TESTS / "lab/law.py", TESTS / "onhost/world.py", TESTS / "onhost/counting.py"):
        shutil.copy(source, folder)
    for name in ("launch", "retire", "destroy"):
        ran = house.host.enter(f"python3 /root/law/law.py /root/law/onhost.zip {name} 3 {stride}", timeout=600)
        assert int(ran.out) >= 30 // stride


def test_the_host_side_may_be_killed_between_its_writes(house: House) -> None:
    obeys(house, 15)


@pytest.mark.soak
def test_the_host_side_may_be_killed_before_any_of_its_writes(house: House) -> None:
    obeys(house, 1)


def test_what_cannot_be_started_after_a_reboot_is_starting_until_it_can(house: House) -> None:
    qemu = "/usr/bin/qemu-system-x86_64"
    house.host.enter(f"systemctl stop {house.unit('web-5')}")
    until(lambda: house.row("web-5")["state"] == "ended", "it is stopped")
    house.host.enter(f"mv {qemu} {qemu}.hidden")
    house.host.reboot()
    try:
        waits = "its host was rebooted, and starts it now; there is no QEMU on this host"
        until(lambda: house.row("web-6")["detail"] == waits, "it says why it does not start yet")
    finally:
        house.host.enter(f"mv {qemu}.hidden {qemu}")
    for name in ("web-5", "web-6"):
        until(lambda name=name: house.row(name)["health"] == "healthy", f"{name} is healthy again")
