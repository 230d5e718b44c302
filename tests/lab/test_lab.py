"""The lab itself: what it makes is real, and nothing of it outlives its run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import recipe
from tests.lab.lab import Lab, LabHost, sweep, until

pytestmark = pytest.mark.real


def test_a_host_is_a_debian_with_everything_up_and_reaches_its_neighbours(lab: Lab) -> None:
    host = lab["hv1"]
    until(lambda: host.run("systemctl is-system-running", check=False).out == "running\n", "all units are up")
    assert host.run("hostname").out == "hv1\n"
    assert host.run("sudo -n id -u", user="ops").out == "0\n"
    assert host.run("sudo -n id -u", user="careful", check=False).code == 1
    assert host.run("python3 -c 'import socket; print(socket.create_connection((\"hv2\", 22)).recv(4))'").out


def test_two_releases_stand_side_by_side(lab: Lab) -> None:
    assert [host.run("cat /etc/debian_version").out.split(".")[0] for host in lab] == ["12", "13", "12"]


def test_memory_limits_of_units_hold_there(lab: Lab) -> None:
    greedy = "systemd-run -q --wait -p MemoryMax=32M -p MemorySwapMax=0 python3 -c 'b\"x\" * (200 << 20)'"
    assert lab["hv1"].run(greedy, check=False).code != 0


def test_nothing_meant_for_a_host_runs_on_this_machine(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = lab["hv1"]
    assert host.enter("cat /etc/hostname").out == "hv1\n"
    monkeypatch.setattr(LabHost, "leader", os.getpid())
    with pytest.raises(RuntimeError, match="not up"):
        host.enter(f"touch {tmp_path}/here")
    assert not list(tmp_path.iterdir())


def test_a_host_keeps_its_disk_over_reboots_and_power_cuts_and_loses_it_when_made_fresh(lab: Lab) -> None:
    host = lab["hv1"]
    boot = host.run("touch /var/kept; cat /proc/1/stat | cut -d' ' -f22").out
    host.reboot()
    assert host.run("ls /var/kept; cat /proc/1/stat | cut -d' ' -f22").out.split()[1] != boot.strip()
    host.power_cut()
    assert not host.up
    host.start()
    host.run("ls /var/kept")
    host.fresh()
    assert host.run("ls /var/kept", check=False).code != 0


def test_its_links_clocks_and_packets_can_fail_and_be_mended(lab: Lab) -> None:
    host = lab["hv1"]
    for fail in (host.cut, host.drop):
        fail()
        quick = "ssh -o ConnectTimeout=1 root@hv1 true"
        assert subprocess.run(["sh", "-c", quick], env=lab.env, capture_output=True, check=False).returncode == 255
        host.mend()
        host.run("true")
    tell = "python3 -c 'import time; print(int(time.time()), int(time.monotonic()))'"
    before = [int(word) for word in host.run(tell).out.split()]
    host.clock(7200)
    after = [int(word) for word in host.run(tell).out.split()]
    assert 7200 <= after[0] - before[0] < 7260
    assert after[1] - before[1] < 60


def test_nothing_of_a_lab_outlives_its_run_even_when_that_is_killed() -> None:
    script = "from tests.lab.lab import Lab; import sys; print(Lab.up(1).folder, flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", script]
    top = Path(__file__).parents[2]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=top) as run:
        assert run.stdout is not None
        lab = Lab(Path(run.stdout.readline().strip()))
        inside = [pid for pid in _pids() if f"/unictl-lab/{lab.name}/" in _groups(pid)]
        assert lab["hv1"].leader in inside
        os.kill(run.pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in [lab.pid, *inside]), "the lab dies")
    sweep()
    assert not lab.folder.exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/unictl-lab/{lab.name}"))
    assert lab.name not in Path("/proc/self/mountinfo").read_text()


def test_a_root_is_known_by_all_words_of_its_recipe() -> None:
    plain = recipe.Recipe(suite="bookworm")
    assert plain.key == recipe.Recipe(suite="bookworm").key
    assert plain.key != recipe.Recipe(suite="bookworm", packages=("dbus",)).key
    assert plain.key != recipe.Recipe(suite="trixie").key


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _groups(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""
