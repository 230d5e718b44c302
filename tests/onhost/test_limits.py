"""Which limits a kernel really holds, from what is mounted: both versions of control groups, and those not given."""

from pathlib import Path

import pytest

from unictl.onhost.survey import capabilities

V1 = "30 24 0:26 / /sys/fs/cgroup/{0} {1},nosuid shared:9 - cgroup cgroup rw,{0}\n"
V2 = "31 24 0:27 / {0} {1},nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        ("", set()),
        (V1.format("memory", "rw") + V1.format("cpu,cpuacct", "rw"), {"memory", "cpu", "cpuacct"}),
        (V1.format("memory", "ro") + V1.format("cpu,cpuacct", "rw"), {"cpu", "cpuacct"}),
        ("25 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n", set()),
    ],
)
def test_version_1_gives_what_is_mounted_for_writing(mounts: str, found: set[str]) -> None:
    assert capabilities.usable_controllers(mounts.encode()) == found


@pytest.mark.parametrize(("mode", "found"), [("rw", {"cpu", "memory", "pids"}), ("ro", set())])
def test_version_2_gives_what_its_root_lists(tmp_path: Path, mode: str, found: set[str]) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    assert capabilities.usable_controllers(V2.format(tmp_path, mode).encode()) == found


def test_a_root_without_controllers_gives_none(tmp_path: Path) -> None:
    assert capabilities.usable_controllers(V2.format(tmp_path, "rw").encode()) == set()
