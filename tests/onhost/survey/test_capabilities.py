"""What a machine can do, read from its files: the limits its kernel enforces, and whether logind ends what a
session leaves running.
"""

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


SESSION = b"0::/user.slice/user-1000.slice/session-3.scope\n"


def told(folder: Path, **files: str) -> tuple[str, ...]:
    """Folders of configuration, the first before the others; files by ``etc_`` or ``lib_`` and their name."""
    for name, text in files.items():
        place, _, rest = name.partition("_")
        path = folder / place / ("logind.conf" if rest == "main" else f"logind.conf.d/{rest}.conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[Login]\n{text}\n")
    return f"{folder}/etc", f"{folder}/lib"


@pytest.mark.parametrize(
    ("files", "ends"),
    [
        ({}, False),
        ({"etc_main": "#KillUserProcesses=yes"}, False),
        ({"etc_main": "KillUserProcesses=yes"}, True),
        ({"lib_main": "KillUserProcesses=true"}, True),
        ({"etc_main": "", "lib_main": "KillUserProcesses=yes"}, False),
        ({"etc_main": "KillUserProcesses=yes", "etc_50": "KillUserProcesses = no"}, False),
        ({"etc_40": "KillUserProcesses=no", "lib_50": "KillUserProcesses=yes"}, True),
        ({"etc_50": "KillUserProcesses=no", "lib_50": "KillUserProcesses=yes"}, False),
    ],
)
def test_the_setting_in_force_decides(tmp_path: Path, files: dict[str, str], ends: bool) -> None:
    assert capabilities.kills_user_processes(SESSION, told(tmp_path, **files)) is ends


def test_a_drop_in_that_leads_nowhere_says_nothing_and_hides_its_namesake(tmp_path: Path) -> None:
    there = told(tmp_path, lib_50="KillUserProcesses=yes")
    (tmp_path / "etc" / "logind.conf.d").mkdir(parents=True)
    (tmp_path / "etc" / "logind.conf.d" / "50.conf").symlink_to("/dev/null")
    assert not capabilities.kills_user_processes(SESSION, there)


def test_what_belongs_to_no_session_ends_with_none(tmp_path: Path) -> None:
    there = told(tmp_path, etc_main="KillUserProcesses=yes")
    assert not capabilities.kills_user_processes(b"0::/system.slice/ssh.service\n", there)
