"""A host that lacks something says so in a sentence with the way out, before anything is touched."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.operations.fleets import UNICTL, TryFleet

QEMU = shutil.which("qemu-system-x86_64")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(os.geteuid() != 0 or not QEMU, reason="needs root for a mount namespace of its own, and QEMU"),
]


def where(fleet: TryFleet, mount: str, command: str) -> tuple[int, str]:
    """Run a command on the fleet where something else is mounted, in a namespace that ends with it."""
    script = f'{mount} && exec "$@"'
    words = ["unshare", "-m", "sh", "-c", script, "sh", *UNICTL, command, str(fleet.folder)]
    words += ["-auto-approve"] if command == "apply" else []
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=120)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_a_host_without_qemu_is_refused_with_what_to_install(fleet: TryFleet, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.touch(0o644)
    code, said = where(fleet, f"mount --bind {nothing} {QEMU}", "plan")
    assert code == 6, said
    assert "local has no qemu (install qemu-system-x86 on the host)" in said
    assert (
        "local: there is no QEMU (install qemu-system-x86 on the host)."
        in where(fleet, f"mount --bind {nothing} {QEMU}", "status")[1]
    )


def test_a_host_without_kvm_runs_guests_and_says_that_they_are_emulated(fleet: TryFleet, tmp_path: Path) -> None:
    if not Path("/dev/kvm").exists():
        hide = "true"
    else:
        (tmp_path / "dev").mkdir()
        hide = f"mount -t tmpfs none {tmp_path}/dev && mount --bind {tmp_path}/dev /dev && mknod /dev/null c 1 3"
        hide += " && mknod /dev/urandom c 1 9 && mkdir /dev/shm"
    assert where(fleet, hide, "plan")[0] == 0
    code, said = where(fleet, hide, "status")
    assert code == 0, said
    assert "tcg (max)" in said
    assert "local: /dev/kvm cannot be used (guests run emulated; give the user access to /dev/kvm" in said


def test_a_full_disk_is_told_by_its_path_with_what_to_do_and_nothing_is_left_half(fleet: TryFleet) -> None:
    fleet.root.mkdir()
    fleet.root.chmod(0o711)
    fleet.edit("(?ms)^volumes:.*?(?=^templates:)", "")
    fleet.edit('    args: \\["--count"\\]\n    volumes: {storage: count}\n', "")
    code, said = where(fleet, f"mount -t tmpfs -o size=64k none {fleet.root}", "apply")
    assert code == 1, said
    assert "no room left on the host" in said
    assert "free some space, or give the host another `root:`" in said
    assert list(fleet.root.iterdir()) == []


def test_a_port_that_the_hosts_user_may_not_take_is_refused_by_the_plan_with_both_ways_out(fleet: TryFleet) -> None:
    """As the kernel has it for an ordinary user: the bit that lets root take any port is taken away."""
    fleet.edit(rf"publish: \{{{fleet.port}: http\}}", "publish: {80: http}")
    line = next(n for n, text in enumerate(fleet.yaml().splitlines(), 1) if "publish:" in text)
    words = ["setpriv", "--bounding-set=-net_bind_service", *UNICTL, "plan", str(fleet.folder)]
    env = {key: value for key, value in os.environ.items() if key != "CI"}
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False, timeout=120)
    said = " ".join(done.stdout.split())
    assert done.returncode == 6, said
    assert "http is to be published on port 80, and the user on local may listen on ports from 1024 up only" in said
    assert f"fleet.yaml:{line}:" in said
    assert "-> set `become: true` for local, or take a port from 1024 up" in said
    assert list((fleet.root / "fleets").iterdir()) == []
    fleet.edit("publish: {80: http}", "publish: {1024: http}")
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


def test_selinux_that_enforces_is_a_fact_with_what_to_do(fleet: TryFleet, tmp_path: Path) -> None:
    (tmp_path / "selinux").mkdir()
    (tmp_path / "selinux" / "enforce").write_text("1")
    code, said = where(fleet, f"mount --bind {tmp_path} /sys/fs", "status")
    assert code == 0, said
    assert "local: SELinux enforces: it may deny HAProxy its ports or files" in said
    assert "setsebool -P haproxy_connect_any 1" in said
    assert where(fleet, f"mount --bind {tmp_path} /sys/fs", "plan")[0] == 0
